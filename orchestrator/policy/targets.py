"""Comparison of targets with lists of addresses, hosts, users and domains, in every spelling."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from functools import lru_cache
from typing import Protocol
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
from orchestrator.domain.observable import CANONICAL, ObservableType
from orchestrator.policy.inputs import OwnInfrastructure
from orchestrator.policy.sections import Protected


class Named(Protocol):
    """Lists of targets, of a protection or of a rule."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """Single addresses."""

    @property
    def networks(self) -> tuple[str, ...]:
        """Networks, with everything in them."""

    @property
    def domains(self) -> tuple[str, ...]:
        """Domains, with everything below them."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """Hosts, by full or short name."""

    @property
    def users(self) -> tuple[str, ...]:
        """Users, with or without their domain."""


def contained_in(kind: ObservableType, value: str, named: Named) -> bool:
    """Return whether a canonical target is entirely inside the lists: enough to allow it."""
    match kind:
        case ObservableType.NETWORK:
            net = ipaddress.ip_network(value)
            return any(_inside(net, entry) for entry in networks_of(named))
        case ObservableType.DOMAIN:
            return any(_below(value, entry) for entry in named.domains)
        case _:
            return any(_comparisons(kind, value, named, first_form=True))


def overlaps(kind: ObservableType, value: str, named: Named) -> bool:
    """Return whether a canonical target overlaps the lists: enough to ask about it or deny it."""
    match kind:
        case ObservableType.NETWORK:
            entries = networks_of(named)
            return any(
                net.version == entry.version and net.overlaps(entry)
                for net in network_forms(ipaddress.ip_network(value))
                for entry in entries
            )
        case ObservableType.DOMAIN:
            return any(_below(value, entry) or _below(entry, value) for entry in named.domains)
        case _:
            return any(_comparisons(kind, value, named, first_form=False))


def is_own(kind: ObservableType, value: str, own: OwnInfrastructure) -> bool:
    """Return whether a target overlaps a thing that Tocsin depends on."""
    named = _as_named(own)
    return named is not None and overlaps(kind, value, named)


@lru_cache(maxsize=4_096)
def _as_named(own: OwnInfrastructure) -> Protected | None:
    """Return lists with the one thing; None for a kind that is not protected.

    A host name is protected as a domain too, because blocking that cuts the host off.
    """
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


def _comparisons(
    kind: ObservableType, value: str, named: Named, *, first_form: bool
) -> Iterator[bool]:
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
    """Return all that is listed by address: networks, addresses, and hosts named by theirs."""
    return _networks((*named.networks, *named.addresses), named.hosts)


@lru_cache(maxsize=256)
def _networks(listed: tuple[str, ...], hosts: tuple[str, ...]) -> tuple[Net, ...]:
    by_name = (address for entry in hosts for address in address_readings(entry))
    return tuple(ipaddress.ip_network(entry) for entry in (*listed, *by_name))


def _address(text: str, named: Named, *, first_form: bool) -> bool:
    """Return whether an address is listed; with `first_form`, only in its unambiguous reading."""
    found = address_readings(text)
    meant = (
        found
        if first_form and len(found) == 1
        else ()
        if first_form
        else [form for each in found for form in address_forms(each)]
    )
    return any(form in entry for form in meant for entry in networks_of(named))


def _inside(net: Net, outer: Net) -> bool:
    if isinstance(net, ipaddress.IPv4Network):
        return isinstance(outer, ipaddress.IPv4Network) and net.subnet_of(outer)
    return isinstance(outer, ipaddress.IPv6Network) and net.subnet_of(outer)


def _below(value: str, entry: str) -> bool:
    return value == entry or value.endswith(f".{entry}")


def known_as(kind: ObservableType) -> tuple[ObservableType, ...]:
    """Return the types that another name of a target may have: a host's may be its address."""
    match kind:
        case (
            ObservableType.HOST
            | ObservableType.ADDRESS
            | ObservableType.NETWORK
            | ObservableType.DOMAIN
            | ObservableType.URL
        ):
            return (ObservableType.HOST, ObservableType.ADDRESS)
        case ObservableType.USER | ObservableType.EMAIL:
            return (ObservableType.USER,)
        case _:
            return ()
