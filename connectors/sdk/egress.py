"""Where a connection may connect to: its own host and port, at an address that is no cloud's metadata service."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable

import httpx

from connectors.sdk.guard import trusted_io
from connectors.sdk.settings import is_this_machine
from orchestrator.domain.errors import Rejected, Unavailable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]
Place = tuple[str, str, int]  # scheme, host, port

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
_DEFAULT_PORT = {"http": 80, "https": 443}


def place_of(url: httpx.URL | str) -> Place:
    """Scheme, lower-case host and port of a URL."""
    url = httpx.URL(url)
    return url.scheme, url.host.lower(), url.port or _DEFAULT_PORT.get(url.scheme, 0)


class Egress:
    """The allow-list of one connection. An empty list allows nothing."""

    def __init__(self, urls: Iterable[str], resolve: Resolve | None = None) -> None:
        self._places = {place_of(url) for url in urls}
        self._resolve = resolve or system_resolve

    def admit(self, url: httpx.URL) -> None:
        """Raises Rejected for a place that is not on the list, or that is a refused address by its letters."""
        place = place_of(url)
        if place not in self._places:
            message = f"{url.scheme}://{url.host} is not where this connection may go; only its base_url and allow_hosts are"
            raise Rejected(message)
        if (literal := _literal(url.host)) is not None:
            _judge(literal, url.host, configured=True)

    async def addresses(self, url: httpx.URL) -> list[str]:
        """The addresses to connect to. Raises Rejected when any of them is refused, Unavailable when there are none."""
        if (literal := _literal(url.host)) is not None:
            return [str(literal)]
        try:
            with trusted_io():
                found = await self._resolve(url.host, place_of(url)[2])
        except OSError as error:
            message = f"the name {url.host} does not resolve; check base_url and the DNS"
            raise Unavailable(message) from error
        for text in found:
            _judge(
                ipaddress.ip_address(text.partition("%")[0]),
                url.host,
                configured=is_this_machine(url.host),
            )
        if not found:
            message = f"the name {url.host} has no address; check base_url and the DNS"
            raise Unavailable(message)
        return found


async def system_resolve(host: str, port: int) -> list[str]:
    """The addresses of a name, in the system's order of preference. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None


def _judge(address: Address, host: str, *, configured: bool) -> None:
    """A private address is fine (appliances live there); loopback only when the configuration says so itself."""
    inner = _embedded(address)
    if inner.is_link_local or inner.is_multicast or inner.is_unspecified or inner in _METADATA:
        message = f"{host} is at {address}, a link-local, metadata, multicast or unspecified address; connections never go there"
        raise Rejected(message)
    if inner.is_loopback and not configured:
        message = f"{host} resolves to this machine ({address}); write localhost in base_url if that is meant"
        raise Rejected(message)


def _embedded(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one, where there is one, so that no spelling slips through."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address
