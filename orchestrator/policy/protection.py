"""What may never be contained, and why? Protected assets by any of their names, and addresses that are nobody's to block."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from orchestrator.domain.observable import CANONICAL, ObservableType, Target
from orchestrator.policy.document import Policy, Protected

IP = ipaddress.IPv4Address | ipaddress.IPv6Address
Net = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_LOW = ipaddress.IPv6Network("::/96")  # the old IPv4-compatible form
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


def objections(target: Target, names: Iterable[str], policy: Policy) -> Iterator[str]:
    """Why a target may not be contained or destroyed; one that cannot be read is one more reason. `names`: what else it is known as."""
    try:
        value = CANONICAL[target.type](target.value)
    except ValueError:
        yield f"{target} cannot be read as a {target.type.value}, so nobody can say whether it is protected"
        return
    seen = [(target.type, value), *((kind, name) for name in names for kind in _known_as(target.type))]
    said = {reason: None for kind, name in seen for reason in _one(kind, name, policy, main=(kind, name) == (target.type, value))}
    yield from said


def _known_as(kind: ObservableType) -> tuple[ObservableType, ...]:
    """As what another name of a target is looked up. A host's may be its address; an address's may be its host."""
    match kind:
        case ObservableType.HOST | ObservableType.ADDRESS:
            return (ObservableType.HOST, ObservableType.ADDRESS)
        case ObservableType.USER | ObservableType.EMAIL:
            return (ObservableType.USER,)
        case _:
            return ()


def _one(kind: ObservableType, value: str, policy: Policy, *, main: bool) -> Iterator[str]:
    protected = policy.protect
    match kind:
        case ObservableType.ADDRESS:
            yield from _address(value, protected, main=main)
        case ObservableType.NETWORK:
            yield from _network(ipaddress.ip_network(value), policy)
        case ObservableType.HOST:
            yield from (f"host {entry} is protected" for entry in protected.hosts if _same_host(entry, value))
            if main:
                yield from _address(value, protected, main=True)
        case ObservableType.USER | ObservableType.EMAIL:
            yield from (f"user {entry} is protected" for entry in protected.users if _same_user(entry, value))
        case ObservableType.DOMAIN:
            yield from _domain(value, protected)
        case ObservableType.URL:
            yield from _url(value, protected)
        case _:
            return


def _address(text: str, protected: Protected, *, main: bool) -> Iterator[str]:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return  # a name
    for form in _forms(address):
        if main:  # our own host may well be known as 127.0.0.1 too
            yield from (f"{form} is a {name} address" for network, name in _NOBODYS if form in network)
        yield from (f"address {entry} is protected" for entry in protected.addresses if ipaddress.ip_address(entry) == form)
        yield from (f"{form} lies in the protected network {entry}" for entry in protected.networks if form in ipaddress.ip_network(entry))


def _forms(address: IP) -> tuple[IP, ...]:
    """The address, and the IPv4 address that it carries inside."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    inside = address.ipv4_mapped or address.sixtofour
    if inside is None and (address in _NAT64 or (address in _LOW and int(address) > 1)):
        inside = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return (address, inside) if inside else (address,)


def _network(network: Net, policy: Policy) -> Iterator[str]:
    widest = policy.widest_network.ipv4 if network.version == 4 else policy.widest_network.ipv6
    if network.prefixlen < widest:
        yield f"{network} is wider than /{widest}, the widest network that may be blocked"
    yield from (f"{network} overlaps the {name} network {nobodys}" for nobodys, name in _NOBODYS if _overlap(network, nobodys))
    for entry in policy.protect.networks:
        if _overlap(network, ipaddress.ip_network(entry)):
            yield f"{network} overlaps the protected network {entry}"
    for entry in policy.protect.addresses:
        if _overlap(network, ipaddress.ip_network(entry)):
            yield f"{network} holds the protected address {entry}"
    if network.prefixlen == network.max_prefixlen:
        yield from _address(str(network.network_address), policy.protect, main=True)


def _overlap(one: Net, other: Net) -> bool:
    return one.version == other.version and one.overlaps(other)


def _same_host(entry: str, name: str) -> bool:
    """`dc-01` and `dc-01.corp.example` are one host; two full names are only when they are equal."""
    name = name.strip().rstrip(".").lower()
    if entry == name:
        return True
    bare = "." not in entry or "." not in name
    return bare and not _is_address(entry) and not _is_address(name) and entry.partition(".")[0] == name.partition(".")[0]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _same_user(entry: str, name: str) -> bool:
    r"""`root`, `CORP\root` and `root@corp.example` are one user; with two domains, only when those are alike."""
    (one, one_domain), (other, other_domain) = _user(entry), _user(name.strip().lower())
    if one != other:
        return False
    return not one_domain or not other_domain or one_domain.partition(".")[0] == other_domain.partition(".")[0]


def _user(text: str) -> tuple[str, str]:
    if "\\" in text:
        domain, _, name = text.partition("\\")
        return name, domain
    name, _, domain = text.partition("@")
    return name, domain


def _domain(value: str, protected: Protected) -> Iterator[str]:
    """Below a protected domain is ours, and above it would take it along."""
    if value == "localhost":
        yield "localhost is this machine"
    for entry in protected.domains:
        if value == entry or value.endswith(f".{entry}") or entry.endswith(f".{value}"):
            yield f"{value} is or holds a part of the protected domain {entry}"


def _url(value: str, protected: Protected) -> Iterator[str]:
    host = (urlsplit(value).hostname or "").rstrip(".")
    if _is_address(host):
        yield from _address(host, protected, main=True)
    else:
        yield from _domain(host, protected)
        yield from (f"host {entry} is protected" for entry in protected.hosts if _same_host(entry, host))
