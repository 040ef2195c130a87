"""What a PAN-OS plan finds, and keeps so that the change can be taken back exactly."""

from __future__ import annotations

import ipaddress

from orchestrator.domain.change import PlannedChange

_PREFIX = "tocsin-net-"


class AddressTags(PlannedChange):
    """Tags to put on an address and tags to take off it; taking back is the other way round."""

    address: str
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


class GroupMember(PlannedChange):
    """An address object, and whether it is to be in the group. `note` goes into the object's description."""

    network: str
    object_name: str
    present: bool
    note: str = ""


def object_name(network: str) -> str:
    """The name of a network's address object: `tocsin-net-198.51.100.0_24`. One name per network, at most 54 characters."""
    return _PREFIX + network.replace(":", "-").replace("/", "_")


def network_of(name: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """The network that one of our object names stands for, None for a name that is not ours."""
    if not name.startswith(_PREFIX):
        return None
    try:
        return ipaddress.ip_network(name.removeprefix(_PREFIX).replace("-", ":").replace("_", "/"))
    except ValueError:
        return None


def covering(network: str, members: tuple[str, ...]) -> str | None:
    """The member, itself included, whose network already holds the given one."""
    wanted = ipaddress.ip_network(network)
    for member in members:
        known = network_of(member)
        if known is None or known.version != wanted.version:
            continue
        if wanted.subnet_of(known):  # type: ignore[arg-type]  # same version, checked above
            return str(known)
    return None
