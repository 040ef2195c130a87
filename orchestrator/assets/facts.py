"""Facts of the inventory about a target: its tags, whether it is critical, whether it is known."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.assets.match import (
    ADDRESS,
    MAX_TIES,
    NETWORK,
    canonical_name,
    has_name,
    is_about,
    lookup_keys,
    name_keys,
    networks_around,
    overlaps,
    overlaps_asset,
    parse_address,
    parse_network,
    short_name,
    tied_names,
)
from orchestrator.assets.normalize import network_forms
from orchestrator.domain.observable import ObservableType, Target
from orchestrator.store.queries import policy_inputs
from orchestrator.store.queries.policy_inputs import KnownAsset

CRITICAL = "critical"
DOMAIN_CONTROLLER = "domain-controller"
OWN_NETWORK = "own-network"
AUTO_CONTAIN = "auto-contain"
"""The tag of what may be contained without a question, although it is internal."""
WELL_KNOWN_TAGS = (CRITICAL, DOMAIN_CONTROLLER, "executive", OWN_NETWORK, AUTO_CONTAIN)
"""Tags with a meaning for Tocsin or the shipped policy; all others are up to the owner."""

_PRIVATE = tuple(
    ipaddress.ip_network(network)
    for network in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "fc00::/7",
    )
)


class AssetFacts(NamedTuple):
    """What the inventory says about a target."""

    tags: tuple[str, ...] = ()
    sure_tags: tuple[str, ...] = ()
    """Tags found by names that no alert can have made up."""
    critical: bool = False
    known: bool = True
    """Also true for what cannot be an asset, such as a public address."""
    internal: bool = False
    """Whether it belongs to the organization."""
    names: tuple[str, ...] = ()
    """All that the inventory calls it."""


async def lookup_asset_facts(
    session: AsyncSession, target: Target, names: Iterable[str], sure: Iterable[str]
) -> AssetFacts:
    """Look up what the inventory says about a target.

    `names`: other names of the target; more of them only find more tags. `sure`: those of them that
    no alert can have made up.
    """
    kind, value = target.type, canonical_name(target.type, target.value) or target.value
    known, found = {value, *names}, list[KnownAsset]()
    for _ in range(MAX_TIES):
        found = await _rows(session, kind, value, known)
        if (tied := tied_names(found)) <= known or kind is NETWORK:
            break
        known |= tied
    return _facts(kind, value, found, {value, *sure})


def asset_facts_from(
    inventory: Iterable[KnownAsset],
    target: Target,
    names: Iterable[str] = (),
    sure: Iterable[str] | None = None,
) -> AssetFacts:
    """Return the facts from an inventory in memory, see `lookup_asset_facts`.

    `sure` None: all `names` are.
    """
    kind, value = target.type, canonical_name(target.type, target.value) or target.value
    rows, known = [*inventory], {value, *names}
    found = _about(rows, kind, value, known)
    given = known if sure is None else {value, *sure}
    return _facts(kind, value, found, given)


def _about(
    rows: Sequence[KnownAsset], kind: ObservableType, value: str, names: set[str]
) -> list[KnownAsset]:
    """Return the assets about a target with these names, and with those that they tie to it."""
    known, found = set(names), list[KnownAsset]()
    for _ in range(MAX_TIES):
        found = [row for row in rows if is_about(row, kind, value, known)]
        if (tied := tied_names(found)) <= known or kind is NETWORK:
            break
        known |= tied
    return found


def _facts(
    kind: ObservableType, value: str, found: Sequence[KnownAsset], sure: set[str]
) -> AssetFacts:
    tags = {tag for row in found for tag in _tags(row)}
    certain = _about(found, kind, value, sure)
    surely = {tag for row in certain if _is_whole(row, kind, value) for tag in _tags(row)}
    own = [row for row in certain if row.type != NETWORK.value]
    if any(AUTO_CONTAIN not in row.tags for row in own):
        surely.discard(AUTO_CONTAIN)  # all that the target is must be harmless
    return AssetFacts(
        tuple(sorted(tags)),
        tuple(sorted(surely)),
        CRITICAL in tags,
        _known(kind, value, sure | tied_names(certain), found),
        _internal(kind, value, found),
        tuple(sorted(tied_names(found))),
    )


def _spellings(network: str) -> Iterator[str]:
    try:
        yield from map(str, network_forms(parse_network(network)))
    except ValueError:
        yield network


def _is_whole(row: KnownAsset, kind: ObservableType, value: str) -> bool:
    """Return whether an asset is about all of a target: a network may only be a part of it."""
    return kind is not NETWORK or _encloses(row, value)


def _internal(kind: ObservableType, value: str, found: Sequence[KnownAsset]) -> bool:
    """Return whether a target belongs to the organization, or contains what does.

    A host or a user does: a public system has no agent and no account of the organization.
    """
    ours = any(row.type != NETWORK.value or OWN_NETWORK in row.tags for row in found)
    match kind:
        case ObservableType.HOST | ObservableType.USER | ObservableType.EMAIL:
            return True
        case ObservableType.NETWORK:
            return ours or any(map(_private, _spellings(value)))
        case ObservableType.ADDRESS:
            return ours or any(
                _private(spelling)
                for each, spelling in lookup_keys(kind, [value])
                if each is ADDRESS
            )
        case _:
            return ours


def canonical_tag(text: str) -> str:
    """Return a tag in lower case with dashes: `Domain Controller` becomes `domain-controller`."""
    return re.sub(r"[\s_]+", "-", text.strip().lower())


async def _rows(
    session: AsyncSession, type_: ObservableType, value: str, names: Collection[str]
) -> list[KnownAsset]:
    if type_ is NETWORK:
        return await _about_network(session, value)
    wanted = name_keys(type_, value, names)
    if not wanted:
        return await policy_inputs.find_assets(session, {(type_.value, value)})
    shorts = {
        (kind.value, short_name(kind.value, value)) for kind, value in wanted if kind is not ADDRESS
    }
    addresses = {
        address for kind, value in wanted if kind is ADDRESS and (address := parse_address(value))
    }
    holding = {(NETWORK.value, each) for address in addresses for each in networks_around(address)}
    found = await policy_inputs.find_assets(
        session, {(kind.value, value) for kind, value in wanted} | holding, shorts
    )
    return [row for row in found if any(has_name(row, kind, value) for kind, value in wanted)]


async def _about_network(session: AsyncSession, value: str) -> list[KnownAsset]:
    """Return the assets that overlap a network."""
    try:
        parse_network(value)
    except ValueError:
        return []
    return [
        row
        for row in await policy_inputs.find_address_assets(session)
        if overlaps_asset(value, row)
    ]


def _tags(row: KnownAsset) -> Iterator[str]:
    """Yield the asset's tags, and those implied by its flag and kind."""
    yield from row.tags
    controls = row.kind == "domain_controller" or DOMAIN_CONTROLLER in row.tags
    if controls:
        yield DOMAIN_CONTROLLER
    if row.critical or controls:
        yield CRITICAL


def _known(
    type_: ObservableType, value: str, sure: Iterable[str], found: Iterable[KnownAsset]
) -> bool:
    match type_:
        case ObservableType.NETWORK:
            return not _private(value) or any(_covers_network(row, value) for row in found)
        case ObservableType.ADDRESS:
            spellings = [
                spelling for kind, spelling in lookup_keys(type_, [value]) if kind is ADDRESS
            ]
            private = [spelling for spelling in spellings or [value] if _private(spelling)]
            return all(
                any(_covers(row, ADDRESS, spelling) for row in found) for spelling in private
            )
        case ObservableType.HOST | ObservableType.USER | ObservableType.EMAIL:
            return any(
                _covers(row, kind, name) for row in found for kind, name in lookup_keys(type_, sure)
            )
        case _:
            return True


def _covers(row: KnownAsset, kind: ObservableType, value: str) -> bool:
    """Return whether an asset makes a name known. A network does so only if tagged own-network."""
    return has_name(row, kind, value) and (row.type != NETWORK.value or OWN_NETWORK in row.tags)


def _covers_network(row: KnownAsset, value: str) -> bool:
    """Return whether an asset is this network, or an own network around it."""
    if row.type != NETWORK.value:
        return False
    return parse_network(value) == parse_network(row.value) or (
        OWN_NETWORK in row.tags and _encloses(row, value)
    )


def _encloses(row: KnownAsset, value: str) -> bool:
    """Return whether an asset is a network around this one, or is this one."""
    if row.type != NETWORK.value:
        return False
    inside, outside = parse_network(value), parse_network(row.value)
    return inside.version == outside.version and inside.subnet_of(outside)  # type: ignore[arg-type]  # of one version


@lru_cache(maxsize=4096)
def _private(text: str) -> bool:
    """Return whether a network overlaps private ones; True for what cannot be parsed."""
    try:
        given = ipaddress.ip_network(text)
    except ValueError:
        return True
    return any(overlaps(given, each) for each in _PRIVATE)
