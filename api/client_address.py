"""The address of a client: that of the connection, or the one that trusted proxies name."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.types import Scope

Networks = tuple[IPv4Network | IPv6Network, ...]


def parse_networks(texts: Iterable[str]) -> Networks:
    """Return the networks of `trusted_proxies`."""
    return tuple(ip_network(text) for text in texts)


def client_of(scope: Scope, proxies: Networks) -> tuple[str, int] | None:
    """Return the address of the client and the port of the connection; None without an address.

    `X-Forwarded-For` is read from the right, past every proxy that is trusted: what stands left of
    the first other address is the client's own claim, and so is what is not an address.
    """
    peer: tuple[str, int] | None = scope.get("client")
    if peer is None or not proxies:
        return peer
    address = _parse(peer[0])
    hops = _hops(scope)
    while hops and address is not None and _is_in(address, proxies):
        named = _parse(hops.pop())
        if named is None:
            break
        address = named
    return (str(address), peer[1]) if address is not None else peer


def scheme_of(scope: Scope, proxies: Networks) -> str:
    """Return the scheme that the client used: the connection's, or what a trusted proxy names."""
    own = str(scope.get("scheme", "http"))
    peer: tuple[str, int] | None = scope.get("client")
    address = _parse(peer[0]) if peer else None
    if address is None or not _is_in(address, proxies):
        return own
    given = [value for name, value in scope["headers"] if name == _PROTO_HEADER]
    named = given[0].decode("latin-1").strip().lower() if len(given) == 1 else own
    return named if named in {"http", "https"} else own


def _hops(scope: Scope) -> list[str]:
    given = [value.decode("latin-1") for name, value in scope["headers"] if name == _HEADER]
    return [hop.strip() for hop in ",".join(given).split(",") if hop.strip()]


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    """Return an address, which some proxies write with its port."""
    bare = text.strip("[]").partition("%")[0]
    if text.startswith("[") and "]:" in text:
        bare = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        bare = text.partition(":")[0]
    try:
        address = ip_address(bare)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _is_in(address: IPv4Address | IPv6Address, networks: Networks) -> bool:
    return any(address in network for network in networks)


_HEADER = b"x-forwarded-for"
_PROTO_HEADER = b"x-forwarded-proto"
