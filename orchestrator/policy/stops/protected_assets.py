"""What may never be contained, and why? Protected assets by any of their names, and addresses that are nobody's to block."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from orchestrator.assets.normalize import (
    Net,
    forms,
    is_address,
    net_forms,
    readings,
    same_host,
    same_user,
)
from orchestrator.domain.observable import CANONICAL, ObservableType, Target
from orchestrator.policy.document import Policy
from orchestrator.policy.inputs import Own
from orchestrator.policy.sections import Protected
from orchestrator.policy.targets import is_own, known_as

_NOBODYS = tuple(
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


def objections(
    target: Target, names: Iterable[str], policy: Policy, own: Iterable[Own] = ()
) -> Iterator[str]:
    """Why a target may not be contained or destroyed; one that cannot be read is one more reason. `names`: what else it is known as.

    `own`: protected as if it were listed.
    """
    try:
        value = CANONICAL[target.type](target.value)
    except ValueError:
        yield f"{target} cannot be read, so nobody can say whether it is protected"
        return
    seen = [
        (target.type, value),
        *((kind, name) for name in names for kind in known_as(target.type)),
    ]
    said = {
        reason: None
        for kind, name in seen
        for reason in _one(kind, name, policy, main=(kind, name) == (target.type, value))
    }
    ours = {
        f"{each.type.value} {each.value} is Tocsin's own: {each.why}": None
        for each in own
        if any(is_own(*one, each) for one in seen)
    }
    yield from (said | ours)


def _one(kind: ObservableType, value: str, policy: Policy, *, main: bool) -> Iterator[str]:
    protected = policy.protect
    match kind:
        case ObservableType.ADDRESS:
            yield from _address(value, protected, main=main)
        case ObservableType.NETWORK:
            for network in net_forms(ipaddress.ip_network(value)):
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
    for form in (form for address in readings(text) for form in forms(address)):
        if main:  # our own host may well be known as 127.0.0.1 too
            yield from (
                f"{form} is a {name} address" for network, name in _NOBODYS if form in network
            )
        yield from (
            f"address {entry} is protected"
            for entry in protected.addresses
            if ipaddress.ip_address(entry) == form
        )
        yield from (
            f"host {entry} is protected" for entry in protected.hosts if form in readings(entry)
        )
        yield from (
            f"{form} lies in the protected network {entry}"
            for entry in protected.networks
            if form in ipaddress.ip_network(entry)
        )


def _network(network: Net, policy: Policy) -> Iterator[str]:
    widest = policy.widest_network.ipv4 if network.version == 4 else policy.widest_network.ipv6
    if network.prefixlen < widest:
        yield f"{network} is wider than /{widest}, the widest network that may be blocked"
    yield from (
        f"{network} overlaps the {name} network {nobodys}"
        for nobodys, name in _NOBODYS
        if _overlap(network, nobodys)
    )
    for entry in policy.protect.networks:
        if _overlap(network, ipaddress.ip_network(entry)):
            yield f"{network} overlaps the protected network {entry}"
    for entry in policy.protect.addresses:
        if _overlap(network, ipaddress.ip_network(entry)):
            yield f"{network} holds the protected address {entry}"
    for entry in policy.protect.hosts:
        if any(address in network for address in readings(entry)):
            yield f"{network} holds the protected host {entry}"
    if network.prefixlen == network.max_prefixlen:
        yield from _address(str(network.network_address), policy.protect, main=True)


def _overlap(one: Net, other: Net) -> bool:
    return one.version == other.version and one.overlaps(other)


def _domain(value: str, protected: Protected) -> Iterator[str]:
    """Below a protected domain is ours, and above it would take it along."""
    if value == "localhost":
        yield "localhost is this machine"
    for entry in protected.domains:
        if value == entry or value.endswith(f".{entry}") or entry.endswith(f".{value}"):
            yield f"{value} is or holds a part of the protected domain {entry}"


def _url(value: str, protected: Protected) -> Iterator[str]:
    host = (urlsplit(value).hostname or "").rstrip(".")
    if is_address(host):
        yield from _address(host, protected, main=True)
    else:
        yield from _domain(host, protected)
        yield from (
            f"host {entry} is protected" for entry in protected.hosts if same_host(entry, host)
        )
