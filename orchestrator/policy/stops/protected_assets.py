"""Protected assets: targets that may never be contained, by any of their names."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from orchestrator.assets.normalize import (
    Net,
    address_forms,
    address_readings,
    is_address,
    network_forms,
    same_host,
    same_user,
)
from orchestrator.domain.observable import CANONICAL, ObservableType, Target
from orchestrator.policy.document import Policy
from orchestrator.policy.inputs import OwnInfrastructure
from orchestrator.policy.sections import Protected
from orchestrator.policy.targets import is_own, known_as

_SPECIAL = tuple(
    (ipaddress.ip_network(network), name)
    for network, name in (
        ("0.0.0.0/8", "unspecified"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("224.0.0.0/4", "multicast"),
        ("255.255.255.255/32", "broadcast"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("fe80::/10", "link-local"),
        ("ff00::/8", "multicast"),
    )
)


def protections_of(
    target: Target, names: Iterable[str], policy: Policy, own: Iterable[OwnInfrastructure] = ()
) -> Iterator[str]:
    """Yield each reason why a target may not be contained or destroyed.

    `names`: other names of the target. `own`: protected as if it were listed. A target that cannot
    be parsed is denied too.
    """
    try:
        value = CANONICAL[target.type](target.value)
    except ValueError:
        yield f"{target} cannot be parsed, so its protection cannot be checked"
        return
    spellings = [
        (target.type, value),
        *((kind, name) for name in names for kind in known_as(target.type)),
    ]
    listed = {
        reason: None
        for kind, name in spellings
        for reason in _one(kind, name, policy, main=(kind, name) == (target.type, value))
    }
    depended_on = {
        f"{each.type.value} {each.value} is needed by Tocsin itself: {each.why}": None
        for each in own
        if any(is_own(*one, each) for one in spellings)
    }
    yield from (listed | depended_on)


def _one(kind: ObservableType, value: str, policy: Policy, *, main: bool) -> Iterator[str]:
    protected = policy.protect
    match kind:
        case ObservableType.ADDRESS:
            yield from _address(value, protected, main=main)
        case ObservableType.NETWORK:
            for network in network_forms(ipaddress.ip_network(value)):
                yield from _network(network, policy)
        case ObservableType.HOST:
            yield from (
                f"host {entry} is protected" for entry in protected.hosts if same_host(entry, value)
            )
            if main:
                yield from _address(value, protected, main=True)
        case ObservableType.USER | ObservableType.EMAIL:
            yield from (
                f"user {entry} is protected"
                for entry in protected.users
                if same_user(entry, value, mailbox=True)
            )
        case ObservableType.DOMAIN:
            yield from _domain(value, protected)
            yield from (
                f"host {entry} is protected" for entry in protected.hosts if same_host(entry, value)
            )
        case ObservableType.URL:
            yield from _url(value, protected)
        case _:
            return


def _address(text: str, protected: Protected, *, main: bool) -> Iterator[str]:
    for form in (form for address in address_readings(text) for form in address_forms(address)):
        if main:  # an internal host may be known as 127.0.0.1 too
            yield from (
                f"{form} is a {name} address" for network, name in _SPECIAL if form in network
            )
        yield from (
            f"address {entry} is protected"
            for entry in protected.addresses
            if ipaddress.ip_address(entry) == form
        )
        yield from (
            f"host {entry} is protected"
            for entry in protected.hosts
            if form in address_readings(entry)
        )
        yield from (
            f"{form} is in the protected network {entry}"
            for entry in protected.networks
            if form in ipaddress.ip_network(entry)
        )


def _network(network: Net, policy: Policy) -> Iterator[str]:
    widest = policy.widest_network.ipv4 if network.version == 4 else policy.widest_network.ipv6
    if network.prefixlen < widest:
        yield f"{network} is wider than /{widest}, the widest network that may be blocked"
    yield from (
        f"{network} overlaps the {name} network {special}"
        for special, name in _SPECIAL
        if _overlap(network, special)
    )
    for entry in policy.protect.networks:
        if _overlap(network, ipaddress.ip_network(entry)):
            yield f"{network} overlaps the protected network {entry}"
    for entry in policy.protect.addresses:
        if _overlap(network, ipaddress.ip_network(entry)):
            yield f"{network} contains the protected address {entry}"
    for entry in policy.protect.hosts:
        if any(address in network for address in address_readings(entry)):
            yield f"{network} contains the protected host {entry}"
    if network.prefixlen == network.max_prefixlen:
        yield from _address(str(network.network_address), policy.protect, main=True)


def _overlap(one: Net, other: Net) -> bool:
    return one.version == other.version and one.overlaps(other)


def _domain(value: str, protected: Protected) -> Iterator[str]:
    """Yield reasons: a domain below a protected one, or above it, includes a part of it."""
    if value == "localhost":
        yield "localhost is this machine"
    for entry in protected.domains:
        if value == entry or value.endswith(f".{entry}") or entry.endswith(f".{value}"):
            yield f"{value} is or contains a part of the protected domain {entry}"


def _url(value: str, protected: Protected) -> Iterator[str]:
    host = (urlsplit(value).hostname or "").rstrip(".")
    if is_address(host):
        yield from _address(host, protected, main=True)
    else:
        yield from _domain(host, protected)
        yield from (
            f"host {entry} is protected" for entry in protected.hosts if same_host(entry, host)
        )
