"""Which end of a connection is ours? `local` is ours, `remote` is the other side.

1. Exactly one end lies in private space (RFC 1918, unique local, link local, loopback, shared 100.64/10): that one is ours.
2. Otherwise, both being inside or both public, the product's own word decides where it has one (a rule's target).
3. Otherwise the kind of alert decides: what a host of ours starts (beaconing, malware, exfiltration, a forbidden use) makes the client
   ours; an attack on a service makes the server ours.
"""

from __future__ import annotations

import ipaddress
from enum import StrEnum

from orchestrator.domain.alert import AlertClass, Endpoint

_OURS = tuple(
    ipaddress.ip_network(text)
    for text in (
        *(
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "100.64.0.0/10",
            "169.254.0.0/16",
            "127.0.0.0/8",
        ),
        *("fc00::/7", "fe80::/10", "::1/128"),
    )
)
_STARTED_BY_US = frozenset(
    {
        AlertClass.C2_BEACON,
        AlertClass.MALWARE,
        AlertClass.EXFILTRATION,
        AlertClass.POLICY_VIOLATION,
        AlertClass.PHISHING,
    }
)


class End(StrEnum):
    """One end of a connection."""

    CLIENT = "client"
    SERVER = "server"


def inside(address: str | None) -> bool:
    """Whether a canonical address lies in private space. (Documentation networks do not: examples use them for the outside.)."""
    if address is None:
        return False
    parsed = ipaddress.ip_address(address)
    return any(parsed in network for network in _OURS if network.version == parsed.version)


def someone(address: str | None) -> bool:
    """Whether a canonical address is one machine's on a network: not loopback, multicast, broadcast or unspecified, which are no target."""
    if address is None:
        return False
    parsed = ipaddress.ip_address(address)
    return not (
        parsed.is_loopback
        or parsed.is_multicast
        or parsed.is_unspecified
        or str(parsed) == "255.255.255.255"
        or address.startswith("0.")
    )


def our_end(
    client: Endpoint | None, server: Endpoint | None, kind: AlertClass, said: End | None = None
) -> End:
    """Which end is ours, by the rules above. `said`: the product's own word."""
    client_inside, server_inside = (
        inside(end.address if end else None) for end in (client, server)
    )
    if client_inside != server_inside:
        return End.CLIENT if client_inside else End.SERVER
    if said is not None:
        return said
    return End.CLIENT if kind in _STARTED_BY_US else End.SERVER
