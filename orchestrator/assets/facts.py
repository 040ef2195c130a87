"""What does the inventory say of a target: its tags, whether it is critical, whether it is known at all?"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.assets.normalize import forms, net_forms, same_host, same_user
from orchestrator.domain.observable import CANONICAL, ObservableType, Target
from orchestrator.store.queries import policy_inputs
from orchestrator.store.queries.policy_inputs import KnownAsset

CRITICAL = "critical"
DOMAIN_CONTROLLER = "domain-controller"
OWN_NETWORK = "own-network"
WELL_KNOWN_TAGS = (CRITICAL, DOMAIN_CONTROLLER, "executive", OWN_NETWORK)
"""Tags that mean something to Tocsin or to the shipped policy; any other is the owner's."""

_PRIVATE = tuple(
    ipaddress.ip_network(network)
    for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)
_HOST, _ADDRESS, _NETWORK = ObservableType.HOST, ObservableType.ADDRESS, ObservableType.NETWORK
_PEOPLE = (ObservableType.USER, ObservableType.EMAIL)
NAMED = frozenset({_HOST, _ADDRESS, *_PEOPLE})
"""Targets that go by several names."""

IP = ipaddress.IPv4Address | ipaddress.IPv6Address
Net = ipaddress.IPv4Network | ipaddress.IPv6Network


class Said(NamedTuple):
    """What the inventory says. `sure_tags`: by names that no alert can have made up.

    `known`: true as well of what can't be an asset of ours, such as a public address.
    """

    tags: tuple[str, ...] = ()
    sure_tags: tuple[str, ...] = ()
    critical: bool = False
    known: bool = True


async def said_of(
    session: AsyncSession, target: Target, names: Iterable[str], sure: Iterable[str]
) -> Said:
    """`names`: what the target may be known as; more of them only find more tags. `sure`: those that no alert can have made up."""
    kind, value = target.type, _canonical(target.type, target.value) or target.value
    found = await _rows(session, kind, value, {value, *names})
    return _said(kind, value, found, {value, *sure})


def said_by(
    inventory: Iterable[KnownAsset],
    target: Target,
    names: Iterable[str] = (),
    sure: Iterable[str] | None = None,
) -> Said:
    """As `said_of`, of an inventory that is at hand; without `sure`, all `names` are."""
    kind, value = target.type, _canonical(target.type, target.value) or target.value
    known = {value, *names}
    found = [row for row in inventory if _is_about(row, kind, value, known)]
    return _said(kind, value, found, known if sure is None else {value, *sure})


class Indexed:
    """An inventory at hand in which what may be about a target is found without looking at every asset."""

    def __init__(self, inventory: Iterable[KnownAsset]) -> None:
        self._by_short: dict[tuple[str, str], list[KnownAsset]] = {}
        self._with_addresses: list[KnownAsset] = []
        self._networks: list[KnownAsset] = []
        for row in inventory:
            self._by_short.setdefault((row.type, short(row.type, row.value)), []).append(row)
            if row.type in {_ADDRESS.value, _NETWORK.value}:
                self._with_addresses.append(row)
            if row.type == _NETWORK.value:
                self._networks.append(row)

    def near(self, target: Target, names: Iterable[str]) -> list[KnownAsset]:
        """Those that `said_by` has to look at; the others are not about the target."""
        kind, value = target.type, _canonical(target.type, target.value) or target.value
        if kind is _NETWORK:
            return self._with_addresses
        if kind not in NAMED:
            return self._by_short.get((kind.value, value), [])
        meant = {
            (each.value, short(each.value, name)) for each, name in _meant(kind, {value, *names})
        }
        return [
            *(row for key in sorted(meant) for row in self._by_short.get(key, ())),
            *self._networks,
        ]


def _said(kind: ObservableType, value: str, found: Sequence[KnownAsset], sure: set[str]) -> Said:
    tags = {tag for row in found for tag in _tags(row)}
    surely = {tag for row in found if _is_about(row, kind, value, sure) for tag in _tags(row)}
    return Said(
        tuple(sorted(tags)),
        tuple(sorted(surely)),
        CRITICAL in tags,
        _known(kind, value, sure, found),
    )


def canonical_tag(text: str) -> str:
    """Lower case, with dashes: `Domain Controller` and `domain_controller` are one tag."""
    return re.sub(r"[\s_]+", "-", text.strip().lower())


def short(kind: str, value: str) -> str:
    r"""What a host or user is called without its domain: `dc-01`, `j.doe`. Of an address, and of other things, the whole."""
    if kind == _HOST.value and parsed(value) is None:
        return value.partition(".")[0]
    if kind in {each.value for each in _PEOPLE}:
        return value.rpartition("\\")[2].partition("@")[0]
    return value


@lru_cache(maxsize=4096)
def parsed(text: str) -> IP | None:
    """The address that a text is."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


@lru_cache(maxsize=4096)
def network(text: str) -> Net:
    """The network that a canonical text is."""
    return ipaddress.ip_network(text)


async def _rows(
    session: AsyncSession, type_: ObservableType, value: str, names: Collection[str]
) -> list[KnownAsset]:
    if type_ is _NETWORK:
        return await _about_network(session, value)
    if type_ not in NAMED:
        return await policy_inputs.assets(session, {(type_.value, value)})
    wanted = _meant(type_, names)
    shorts = {
        (kind.value, short(kind.value, value)) for kind, value in wanted if kind is not _ADDRESS
    }
    addresses = {
        address for kind, value in wanted if kind is _ADDRESS and (address := parsed(value))
    }
    holding = {(_NETWORK.value, each) for address in addresses for each in _holding(address)}
    found = await policy_inputs.assets(
        session, {(kind.value, value) for kind, value in wanted} | holding, shorts
    )
    return [row for row in found if any(_is(row, kind, value) for kind, value in wanted)]


def _is_about(row: KnownAsset, type_: ObservableType, value: str, names: Collection[str]) -> bool:
    if type_ is _NETWORK:
        return row.type in {_ADDRESS.value, _NETWORK.value} and _touches(value, row)
    if type_ not in NAMED:
        return (row.type, row.value) == (type_.value, value)
    return any(_is(row, kind, name) for kind, name in _meant(type_, names))


def _meant(type_: ObservableType, names: Iterable[str]) -> set[tuple[ObservableType, str]]:
    """As what, and in which canonical spelling, names are looked up; an address also as the IPv4 address that it carries inside."""
    found = {
        (kind, value)
        for kind in _kinds(type_)
        for name in names
        if (value := _canonical(kind, name))
    }
    inside = {
        str(form)
        for kind, value in found
        if kind is _ADDRESS and (address := parsed(value))
        for form in forms(address)
    }
    return found | {(_ADDRESS, value) for value in inside}


async def _about_network(session: AsyncSession, value: str) -> list[KnownAsset]:
    """The network itself, those that hold it, and all that lies inside of it."""
    try:
        network(value)
    except ValueError:
        return []
    return [
        row for row in await policy_inputs.assets_with_addresses(session) if _touches(value, row)
    ]


def _touches(value: str, row: KnownAsset) -> bool:
    """Also by the IPv4 addresses that those of an IPv6 network carry inside."""
    return any(_overlaps(form, network(row.value)) for form in net_forms(network(value)))


def _overlaps(one: Net, other: Net) -> bool:
    return one.version == other.version and one.overlaps(other)


def _kinds(kind: ObservableType) -> tuple[ObservableType, ...]:
    """As what the names of such a target are looked up: a host's may be its address, a user's their e-mail."""
    return _PEOPLE if kind in _PEOPLE else (_HOST, _ADDRESS)


@lru_cache(maxsize=4096)
def _holding(address: IP) -> tuple[str, ...]:
    """Every network that holds an address: so few that an index finds those of ours among them."""
    return tuple(
        str(ipaddress.ip_network((address, length), strict=False))
        for length in range(address.max_prefixlen + 1)
    )


def _is(row: KnownAsset, kind: ObservableType, value: str) -> bool:
    """Whether an asset is what this name says, as protection compares them."""
    if kind is _HOST:
        return row.type == kind.value and same_host(row.value, value)
    if kind is _ADDRESS:
        address = parsed(value)
        return (row.type == kind.value and row.value == value) or (
            row.type == _NETWORK.value and address is not None and address in network(row.value)
        )
    return row.type in {each.value for each in _PEOPLE} and same_user(row.value, value)


def _tags(row: KnownAsset) -> Iterator[str]:
    """What is written, and what its flag and kind say."""
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
            spellings = [spelling for kind, spelling in _meant(type_, [value]) if kind is _ADDRESS]
            private = [spelling for spelling in spellings or [value] if _private(spelling)]
            return all(
                any(_covers(row, _ADDRESS, spelling) for row in found) for spelling in private
            )
        case ObservableType.HOST | ObservableType.USER | ObservableType.EMAIL:
            return any(
                _covers(row, kind, name) for row in found for kind, name in _meant(type_, sure)
            )
        case _:
            return True


def _covers(row: KnownAsset, kind: ObservableType, value: str) -> bool:
    """Any network of the inventory gives tags; only one of our own makes what is in it known."""
    return _is(row, kind, value) and (row.type != _NETWORK.value or OWN_NETWORK in row.tags)


def _covers_network(row: KnownAsset, value: str) -> bool:
    if row.type != _NETWORK.value:
        return False
    inside, outside = network(value), network(row.value)
    return inside == outside or (
        OWN_NETWORK in row.tags and inside.version == outside.version and inside.subnet_of(outside)
    )  # type: ignore[arg-type]


@lru_cache(maxsize=4096)
def _private(text: str) -> bool:
    """Whether it overlaps what only a network of somebody's own uses; what can't be read is asked about."""
    try:
        given = ipaddress.ip_network(text)
    except ValueError:
        return True
    return any(_overlaps(given, each) for each in _PRIVATE)


def _canonical(kind: ObservableType, value: str) -> str | None:
    """A name that can't be of this kind is none of it."""
    try:
        return CANONICAL[kind](value)
    except ValueError:
        return None
