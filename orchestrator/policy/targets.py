"""Is this target one of those that are named? By each spelling that an address, a host, a user or a domain has."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from functools import lru_cache
from typing import Protocol
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
from orchestrator.domain.observable import CANONICAL, ObservableType
from orchestrator.policy.inputs import Own
from orchestrator.policy.sections import Protected


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
            return any(_inside(net, entry) for entry in networks_of(named))
        case ObservableType.DOMAIN:
            return any(_below(value, entry) for entry in named.domains)
        case _:
            return any(_said(kind, value, named, first_form=True))


def touches(kind: ObservableType, value: str, named: Named) -> bool:
    """Whether a target (in its canonical spelling) has to do with what is named: enough to ask about it, or to deny it."""
    match kind:
        case ObservableType.NETWORK:
            entries = networks_of(named)
            return any(
                net.version == entry.version and net.overlaps(entry)
                for net in net_forms(ipaddress.ip_network(value))
                for entry in entries
            )
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
            yield any(same_user(entry, value, mailbox=not first_form) for entry in named.users)
        case ObservableType.URL:
            host = (urlsplit(value).hostname or "").rstrip(".")
            yield _address(host, named, first_form=first_form)
            yield any(same_host(entry, host) for entry in named.hosts)
            yield any(_below(host, entry) for entry in named.domains)
        case _:
            return


def networks_of(named: Named) -> tuple[Net, ...]:
    """All that is listed by address: networks, addresses, and hosts that go by theirs."""
    return _networks((*named.networks, *named.addresses), named.hosts)


@lru_cache(maxsize=256)
def _networks(listed: tuple[str, ...], hosts: tuple[str, ...]) -> tuple[Net, ...]:
    by_name = (address for entry in hosts for address in readings(entry))
    return tuple(ipaddress.ip_network(entry) for entry in (*listed, *by_name))


def _address(text: str, named: Named, *, first_form: bool) -> bool:
    """`first_form`: only in the one way in which it surely is meant."""
    found = readings(text)
    meant = (
        found
        if first_form and len(found) == 1
        else ()
        if first_form
        else [form for each in found for form in forms(each)]
    )
    return any(form in entry for form in meant for entry in networks_of(named))


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
