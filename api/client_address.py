"""The address of a client: that of the connection, or the one that a trusted proxy names."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_network

from fastapi import Request


def client_address(request: Request, trusted_proxies: Iterable[str]) -> str | None:
    """Return the address of the client; None where the connection has none.

    `X-Forwarded-For` is read from the right, past every proxy that is trusted: what stands left of
    the first other address is the client's own claim.
    """
    peer = request.client.host if request.client else None
    proxies = [ip_network(network) for network in trusted_proxies]
    named = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
    hops = [hop.strip() for hop in named if hop.strip()]
    address = peer
    while hops and address is not None and _is_in(address, proxies):
        address = hops.pop()
    return address


def _is_in(address: str, networks: Iterable[object]) -> bool:
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    return any(parsed in network for network in networks)  # type: ignore[operator]
