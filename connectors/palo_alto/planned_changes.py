"""Planned changes of PAN-OS: an address's tags, and a network in the address group."""

from __future__ import annotations

import ipaddress

from orchestrator.domain.change import PlannedChange

_PREFIX = "tocsin-net-"


class TagChange(PlannedChange):
    """Tags to register for an address, and tags to unregister. Undo is the inverse."""

    address: str
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


class GroupMemberChange(PlannedChange):
    """The presence of a network's address object in the group."""

    network: str
    object_name: str
    present: bool
    note: str = ""
    """The description of the address object."""


def object_name(network: str) -> str:
    """Return the name of a network's address object, such as `tocsin-net-198.51.100.0_24`.

    It is unique per network and has at most 54 characters.
    """
    return _PREFIX + network.replace(":", "-").replace("/", "_")


def network_of(name: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """Return the network of an address object of this connector, None for any other name."""
    if not name.startswith(_PREFIX):
        return None
    try:
        return ipaddress.ip_network(name.removeprefix(_PREFIX).replace("-", ":").replace("_", "/"))
    except ValueError:
        return None


def covering(network: str, members: tuple[str, ...]) -> str | None:
    """Return the network of the first member that contains the given network or equals it."""
    wanted = ipaddress.ip_network(network)
    for member in members:
        known = network_of(member)
        if known is None or known.version != wanted.version:
            continue
        if wanted.subnet_of(known):  # type: ignore[arg-type]  # same version, checked above
            return str(known)
    return None
