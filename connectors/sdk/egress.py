"""Egress control: a connection reaches only its own host and port, and never a metadata service.

The allow-list compares scheme, host and port of each request. A name is resolved here and each of
its addresses is checked; the transport then connects to the checked address, so that a second DNS
answer cannot redirect it. Private addresses are allowed, because appliances have them. Loopback is
allowed only when `base_url` names it.

Why not a library: `advocate` works with requests only, and it, like every filter built on
`ipaddress.is_private`, refuses private networks, where firewalls are managed. An egress proxy needs
a deployment of its own, holds one allow-list for all connections, and resolves names itself, after
the check. Where an installation has one, both lists apply.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

import httpx

from connectors.sdk.guard import trusted_io
from connectors.sdk.settings import is_this_machine
from orchestrator.domain.errors import Rejected, Unavailable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]
Origin = tuple[str, str, int]
"""Scheme, host and port."""

_METADATA = {
    ipaddress.ip_address(text)
    for text in (
        "169.254.169.254",
        "169.254.170.2",
        "fd00:ec2::254",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
    )
}
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_RESOLVE_SECONDS = 2.0
_DEFAULT_PORT = {"http": 80, "https": 443}


def origin_of(url: httpx.URL | str) -> Origin:
    """Return the scheme, lower-case host and port of a URL."""
    url = httpx.URL(url)
    return url.scheme, url.host.lower(), url.port or _DEFAULT_PORT.get(url.scheme, 0)


class Egress:
    """The allow-list of one connection. An empty list allows nothing."""

    def __init__(self, urls: Iterable[str], resolve: Resolve | None = None) -> None:
        self._origins = {origin_of(url) for url in urls}
        self._resolve = resolve or system_resolve

    def check(self, url: httpx.URL) -> None:
        """Raise Rejected when the origin is not on the list, or its host is a forbidden address."""
        if origin_of(url) not in self._origins:
            message = (
                f"{url.scheme}://{url.host} is outside this connection; "
                "only its base_url and allow_hosts are reachable"
            )
            raise Rejected(message)
        if (literal := _literal(url.host)) is not None:
            _check_address(literal, url.host, configured=True)

    async def addresses(self, url: httpx.URL) -> list[str]:
        """Return the addresses to connect to, in the resolver's order.

        Raises Rejected when any of them is forbidden, Unavailable when the name has none.
        """
        if (literal := _literal(url.host)) is not None:
            return [str(literal)]
        try:
            with trusted_io():
                resolved = await self._resolve(url.host, origin_of(url)[2])
        except OSError as error:
            message = f"the name {url.host} does not resolve; check base_url and the DNS"
            raise Unavailable(message) from error
        for text in resolved:
            _check_address(
                ipaddress.ip_address(text.partition("%")[0]),
                url.host,
                configured=is_this_machine(url.host),
            )
        if not resolved:
            message = f"the name {url.host} has no address; check base_url and the DNS"
            raise Unavailable(message)
        return resolved

    async def check_resolved(self, url: httpx.URL) -> None:
        """Raise Rejected when the name has a forbidden address, as far as this machine resolves it.

        Behind a proxy, a machine often cannot resolve names of other networks; the proxy can.
        """
        with suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(_RESOLVE_SECONDS):
                await self.addresses(url)

    async def check_proxy(self, host: str, port: int) -> None:
        """Raise Rejected when a proxy is at a forbidden address. This machine is allowed."""
        addresses = [host]
        if _literal(host) is None:
            try:
                with trusted_io():
                    addresses = await self._resolve(host, port)
            except OSError as error:
                message = f"the name of the proxy {host} does not resolve; check proxy and the DNS"
                raise Unavailable(message) from error
        for text in addresses:
            _check_address(ipaddress.ip_address(text.partition("%")[0]), host, configured=True)


async def system_resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a name in the system's order of preference. Raises OSError."""
    loop = asyncio.get_running_loop()
    entries = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in entries))


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None


def _check_address(address: Address, host: str, *, configured: bool) -> None:
    """Raise Rejected for a forbidden address, and for a loopback that `base_url` does not name."""
    inner = _embedded_ipv4(address)
    if inner.is_link_local or inner.is_multicast or inner.is_unspecified or inner in _METADATA:
        message = (
            f"{host} is at {address}, a link-local, metadata, multicast or unspecified address, "
            "where no connection may go"
        )
        raise Rejected(message)
    if inner.is_loopback and not configured:
        message = (
            f"{host} resolves to this machine ({address}); "
            "write localhost in base_url if that is intended"
        )
        raise Rejected(message)


def _embedded_ipv4(address: Address) -> Address:
    """Return the IPv4 address inside an IPv6 address, or the address itself."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address
