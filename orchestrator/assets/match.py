"""Matching of names with assets, as protection compares them."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable
from functools import lru_cache
from urllib.parse import urlsplit

from orchestrator.assets.normalize import address_forms, network_forms, same_host, same_user
from orchestrator.domain.observable import CANONICAL, ObservableType
from orchestrator.store.queries.policy_inputs import KnownAsset

IP = ipaddress.IPv4Address | ipaddress.IPv6Address
Net = ipaddress.IPv4Network | ipaddress.IPv6Network

HOST, ADDRESS, NETWORK = ObservableType.HOST, ObservableType.ADDRESS, ObservableType.NETWORK
PEOPLE = (ObservableType.USER, ObservableType.EMAIL)
TYPES_WITH_ALIASES = frozenset({HOST, ADDRESS, *PEOPLE})
"""Types of targets that can have several names."""
MAX_TIES = 4
"""How often the names of an asset lead to a further asset with other names."""
_NAMED_BY_HOST = frozenset({ObservableType.DOMAIN, ObservableType.URL})
"""Types of targets that may name a host, or its address."""


def short_name(kind: str, value: str) -> str:
    r"""Return the name of a host or user without its domain: `dc-01`, `j.doe`."""
    if kind == HOST.value and parse_address(value) is None:
        return value.partition(".")[0]
    if kind in {each.value for each in PEOPLE}:
        return value.rpartition("\\")[2].partition("@")[0]
    return value


@lru_cache(maxsize=4096)
def parse_address(text: str) -> IP | None:
    """Return a text as an address; None where it is not one."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


@lru_cache(maxsize=4096)
def parse_network(text: str) -> Net:
    """Return a canonical text as a network. Raise ValueError."""
    return ipaddress.ip_network(text)


def is_about(row: KnownAsset, type_: ObservableType, value: str, names: Collection[str]) -> bool:
    """Return whether an asset is about a target with these names."""
    if type_ is NETWORK:
        return overlaps_asset(value, row)
    if keys := name_keys(type_, value, names):
        return any(has_name(row, kind, name) for kind, name in keys)
    return (type_.value, value) in row.names


def name_keys(
    type_: ObservableType, value: str, names: Collection[str]
) -> set[tuple[ObservableType, str]]:
    """Return types and canonical values of all names of a target; none for one without names."""
    if type_ in TYPES_WITH_ALIASES:
        return lookup_keys(type_, {value, *names})
    if type_ in _NAMED_BY_HOST:
        host = urlsplit(value).hostname if type_ is ObservableType.URL else value
        return {(type_, value), *lookup_keys(HOST, {host} if host else ())}
    return set()


def has_name(row: KnownAsset, kind: ObservableType, value: str) -> bool:
    """Return whether one of an asset's names is this one, as protection compares names."""
    return any(_is_name(*name, kind, value) for name in row.names)


def _is_name(own: str, own_value: str, kind: ObservableType, value: str) -> bool:
    if kind is HOST:
        return own == kind.value and same_host(own_value, value)
    if kind is ADDRESS:
        address = parse_address(value)
        return (own == kind.value and own_value == value) or (
            own == NETWORK.value and address is not None and address in parse_network(own_value)
        )
    if kind in PEOPLE:
        return own in {each.value for each in PEOPLE} and same_user(own_value, value)
    return (own, own_value) == (kind.value, value)


def other_names(type_: ObservableType, names: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return the other names of an asset, with their types, in canonical form. Raise ValueError."""
    found = [_other_name(type_, name) for name in names]
    return tuple(dict.fromkeys(found))


def _other_name(type_: ObservableType, name: str) -> tuple[str, str]:
    kinds = {HOST: (ADDRESS, HOST), ADDRESS: (ADDRESS, HOST)} | dict.fromkeys(
        PEOPLE, (ObservableType.USER,)
    )
    if type_ not in kinds:
        message = f"a {type_.value} has no other names; leave `also` out"
        raise ValueError(message)
    for kind in kinds[type_]:
        if (value := canonical_name(kind, name)) is not None:
            return kind.value, value
    message = f"also: {name[:64]!r} is not a name of a {type_.value}"
    raise ValueError(message)


def tied_names(rows: Iterable[KnownAsset]) -> set[str]:
    """Return all names of these assets, without those of networks."""
    return {value for row in rows if row.type != NETWORK.value for _, value in row.names}


def lookup_keys(type_: ObservableType, names: Iterable[str]) -> set[tuple[ObservableType, str]]:
    """Return types and canonical values to look up for names, with embedded IPv4 addresses."""
    found = {
        (kind, value)
        for kind in _kinds(type_)
        for name in names
        if (value := canonical_name(kind, name))
    }
    inside = {
        str(form)
        for kind, value in found
        if kind is ADDRESS and (address := parse_address(value))
        for form in address_forms(address)
    }
    return found | {(ADDRESS, value) for value in inside}


def _kinds(kind: ObservableType) -> tuple[ObservableType, ...]:
    """Return the types that such a target's names can have: a host's name may be its address."""
    return PEOPLE if kind in PEOPLE else (HOST, ADDRESS)


def overlaps_asset(value: str, row: KnownAsset) -> bool:
    """Return whether an asset overlaps a network, also by embedded IPv4 addresses."""
    return any(
        overlaps(form, parse_network(own))
        for form in network_forms(parse_network(value))
        for kind, own in row.names
        if kind in {ADDRESS.value, NETWORK.value}
    )


def overlaps(left: Net, right: Net) -> bool:
    """Return whether two networks of one IP version overlap."""
    return left.version == right.version and left.overlaps(right)


@lru_cache(maxsize=4096)
def networks_around(address: IP) -> tuple[str, ...]:
    """Return every network that contains an address, for a lookup by index."""
    return tuple(
        str(ipaddress.ip_network((address, length), strict=False))
        for length in range(address.max_prefixlen + 1)
    )


def canonical_name(kind: ObservableType, value: str) -> str | None:
    """Return the canonical form of a name; None where it cannot have this type."""
    try:
        return CANONICAL[kind](value)
    except ValueError:
        return None
