"""The local and the remote end of a connection.

1. If exactly one end has a private address (RFC 1918, unique local, link local, loopback, shared
   100.64/10), it is the local one.
2. Otherwise the product decides, where its rule names the target.
3. Otherwise the class of the alert decides: the client is local in what an infected host starts
   (beaconing, malware, exfiltration, forbidden use), the server is local in an attack on a service.
"""

from __future__ import annotations

import ipaddress
from enum import StrEnum

from orchestrator.domain.alert import AlertClass, Endpoint

_PRIVATE = tuple(
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
_STARTED_BY_CLIENT = frozenset(
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


def is_private(address: str | None) -> bool:
    """Return whether a canonical address is private.

    Documentation networks are not: examples use them for the internet.
    """
    if address is None:
        return False
    parsed = ipaddress.ip_address(address)
    return any(parsed in network for network in _PRIVATE if network.version == parsed.version)


def is_unicast_host(address: str | None) -> bool:
    """Return whether an address is one machine's: not loopback, multicast or broadcast."""
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


def local_end(
    client: Endpoint | None, server: Endpoint | None, kind: AlertClass, named: End | None = None
) -> End:
    """Return which end is local, by the rules above.

    `named`: the local end by the product's own rule.
    """
    client_private, server_private = (
        is_private(end.address if end else None) for end in (client, server)
    )
    if client_private != server_private:
        return End.CLIENT if client_private else End.SERVER
    if named is not None:
        return named
    return End.CLIENT if kind in _STARTED_BY_CLIENT else End.SERVER
