"""Is this target one of those that are named? By each spelling that an address, a host, a user or a domain has."""

from __future__ import annotations

import ipaddress
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Protocol
from urllib.parse import urlsplit

from orchestrator.domain.observable import CANONICAL, ObservableType
from orchestrator.policy.moment import Own
from orchestrator.policy.sections import Protected

IP = ipaddress.IPv4Address | ipaddress.IPv6Address
Net = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_LOW = ipaddress.IPv6Network("::/96")  # the old IPv4-compatible form


class Named(Protocol):
    """Lists of targets, as a policy protects them or a rule is about them."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """Single addresses."""

    @property
    def networks(self) -> tuple[str, ...]:
        """All that is in them."""

    @property
    def domains(self) -> tuple[str, ...]:
        """All that is below them."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """By full or short name."""

    @property
    def users(self) -> tuple[str, ...]:
        """With or without their domain."""


def lies_within(kind: ObservableType, value: str, named: Named) -> bool:
    """Whether all of a target (in its canonical spelling) is inside of what is named: enough to allow it."""
    match kind:
        case ObservableType.NETWORK:
            net = ipaddress.ip_network(value)
            return any(_inside(net, ipaddress.ip_network(entry)) for entry in (*named.networks, *named.addresses))
        case ObservableType.DOMAIN:
            return any(_below(value, entry) for entry in named.domains)
        case _:
            return any(_said(kind, value, named, first_form=True))


def touches(kind: ObservableType, value: str, named: Named) -> bool:
    """Whether a target (in its canonical spelling) has to do with what is named: enough to ask about it, or to deny it."""
    match kind:
        case ObservableType.NETWORK:
            net = ipaddress.ip_network(value)
            entries = [ipaddress.ip_network(entry) for entry in (*named.networks, *named.addresses)]
            return any(net.version == entry.version and net.overlaps(entry) for entry in entries)
        case ObservableType.DOMAIN:
            return any(_below(value, entry) or _below(entry, value) for entry in named.domains)
        case _:
            return any(_said(kind, value, named, first_form=False))


def is_own(kind: ObservableType, value: str, own: Own) -> bool:
    """Whether a target touches a thing that Tocsin stands on."""
    named = _as_named(own)
    return named is not None and touches(kind, value, named)


@lru_cache(maxsize=4_096)
def _as_named(own: Own) -> Protected | None:
    """A host goes by its address, or is a domain too, which can be blocked as well; None: of a kind that is not protected."""
    try:
        value = CANONICAL[own.type](own.value)
    except ValueError:
        return None
    match own.type:
        case ObservableType.ADDRESS:
            return Protected(addresses=(value,))
        case ObservableType.NETWORK:
            return Protected(networks=(value,))
        case ObservableType.HOST if is_address(value):
            return Protected(addresses=(value,))
        case ObservableType.HOST:
            return Protected(hosts=(value,), domains=(value,) if "." in value else ())
        case ObservableType.DOMAIN:
            return Protected(domains=(value,))
        case ObservableType.USER | ObservableType.EMAIL:
            return Protected(users=(value,))
        case _:
            return None


def _said(kind: ObservableType, value: str, named: Named, *, first_form: bool) -> Iterator[bool]:
    match kind:
        case ObservableType.ADDRESS:
            yield _address(value, named, first_form=first_form)
        case ObservableType.HOST:
            yield _address(value, named, first_form=first_form)
            yield any(same_host(entry, value) for entry in named.hosts)
        case ObservableType.USER | ObservableType.EMAIL:
            yield any(same_user(entry, value) for entry in named.users)
        case ObservableType.URL:
            host = (urlsplit(value).hostname or "").rstrip(".")
            yield _address(host, named, first_form=first_form)
            yield any(same_host(entry, host) for entry in named.hosts)
            yield any(_below(host, entry) for entry in named.domains)
        case _:
            return


def _address(text: str, named: Named, *, first_form: bool) -> bool:
    if not is_address(text):
        return False
    found = forms(ipaddress.ip_address(text))
    for form in found[:1] if first_form else found:
        if any(ipaddress.ip_address(entry) == form for entry in named.addresses):
            return True
        if any(form in ipaddress.ip_network(entry) for entry in named.networks):
            return True
    return False


def _inside(net: Net, outer: Net) -> bool:
    if isinstance(net, ipaddress.IPv4Network):
        return isinstance(outer, ipaddress.IPv4Network) and net.subnet_of(outer)
    return isinstance(outer, ipaddress.IPv6Network) and net.subnet_of(outer)


def _below(value: str, entry: str) -> bool:
    return value == entry or value.endswith(f".{entry}")


def known_as(kind: ObservableType) -> tuple[ObservableType, ...]:
    """As what another name of a target is looked up. A host's may be its address; an address's may be its host."""
    match kind:
        case ObservableType.HOST | ObservableType.ADDRESS:
            return (ObservableType.HOST, ObservableType.ADDRESS)
        case ObservableType.USER | ObservableType.EMAIL:
            return (ObservableType.USER,)
        case _:
            return ()


def forms(address: IP) -> tuple[IP, ...]:
    """The address, and the IPv4 address that it carries inside."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    inside = address.ipv4_mapped or address.sixtofour
    if inside is None and (address in _NAT64 or (address in _LOW and int(address) > 1)):
        inside = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return (address, inside) if inside else (address,)


def same_host(entry: str, name: str) -> bool:
    """`dc-01` and `dc-01.corp.example` are one host; two full names are only when they are equal."""
    name = _plain(name).rstrip(".")
    if entry == name:
        return True
    bare = "." not in entry or "." not in name
    return bare and not is_address(entry) and not is_address(name) and entry.partition(".")[0] == name.partition(".")[0]


def is_address(text: str) -> bool:
    """Whether a name is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def same_user(entry: str, name: str) -> bool:
    r"""`root`, `CORP\root` and `root@corp.example` are one user; with two domains, only when those are alike."""
    (one, one_domain), (other, other_domain) = _user(entry), _user(_plain(name))
    if one != other:
        return False
    return not one_domain or not other_domain or one_domain.partition(".")[0] == other_domain.partition(".")[0]


def _user(text: str) -> tuple[str, str]:
    if "\\" in text:
        domain, _, name = text.partition("\\")
        return name, domain
    name, _, domain = text.partition("@")
    return name, domain


def _plain(name: str) -> str:
    """Full-width and other look-alikes of one letter are that letter."""
    return unicodedata.normalize("NFKC", name).strip().lower()
