"""Discovery of what Tocsin depends on: addresses, resolvers, gateways, and hosts it uses."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import structlog

from orchestrator.domain.observable import CANONICAL, ObservableType

OWN_FOR = timedelta(days=7)
"""How long a thing stays protected after a process last found it."""
_GATEWAY = 0x2  # RTF_GATEWAY
_RESOLVE_SECONDS = 2.0
_log = structlog.get_logger(__name__)

IP = ipaddress.IPv4Address | ipaddress.IPv6Address


class InfrastructureItem(NamedTuple):
    """One thing that Tocsin needs, and what for."""

    type: ObservableType
    value: str
    why: str


@dataclass(frozen=True, slots=True)
class SystemFiles:
    """The files in which the operating system lists addresses, routes and resolvers."""

    ipv4_addresses: Path = Path("/proc/net/fib_trie")
    ipv6_addresses: Path = Path("/proc/net/if_inet6")
    ipv4_routes: Path = Path("/proc/net/route")
    ipv6_routes: Path = Path("/proc/net/ipv6_route")
    resolvers: Path = Path("/etc/resolv.conf")


def find_machine_addresses(places: SystemFiles | None = None) -> tuple[InfrastructureItem, ...]:
    """Return addresses of every interface, resolvers and default gateways. Log unreadable files."""
    at = places or SystemFiles()
    readers: tuple[tuple[Path, str, Callable[[str], Iterable[str]]], ...] = (
        (at.ipv4_addresses, "an address of this machine", _local_ipv4),
        (at.ipv6_addresses, "an address of this machine", _local_ipv6),
        (at.ipv4_routes, "a default gateway", _gateways_ipv4),
        (at.ipv6_routes, "a default gateway", _gateways_ipv6),
        (at.resolvers, "a resolver", _nameservers),
    )
    found = [each for path, why, reader in readers for each in _addresses(path, why, reader)]
    return tuple(dict.fromkeys(found))


async def resolve_hosts(named: Iterable[tuple[str, str]]) -> tuple[InfrastructureItem, ...]:
    """Return hosts, given as (name or address, why), and the addresses that they resolve to now."""
    wanted = list(dict.fromkeys(named))
    both = [[*_host(host, why)] for host, why in wanted]
    resolved = await asyncio.gather(*(_resolved(host, why) for host, why in wanted))
    return tuple(dict.fromkeys(each for part in (*both, *resolved) for each in part))


def _addresses(
    path: Path, why: str, reader: Callable[[str], Iterable[str]]
) -> Iterator[InfrastructureItem]:
    try:
        texts = [*reader(path.read_text("utf-8", errors="replace"))]
    except FileNotFoundError:  # a machine without IPv6 has no such file
        _log.info("own infrastructure: file does not exist", file=str(path))
        return
    except (OSError, ValueError, IndexError) as error:
        _log.warning(
            "own infrastructure: file not readable; its entries are not protected",
            file=str(path),
            error=str(error),
        )
        return
    for text in texts:
        if (address := _shared(text)) is not None:
            yield InfrastructureItem(ObservableType.ADDRESS, str(address), why)


def _shared(text: str) -> IP | None:
    """Return an address that other machines reach; loopback and link-local are protected anyway."""
    try:
        address = ipaddress.ip_address(CANONICAL[ObservableType.ADDRESS](text))
    except ValueError:
        return None
    alone = (
        address.is_loopback
        or address.is_link_local
        or address.is_unspecified
        or address.is_multicast
    )
    return None if alone else address


def _local_ipv4(text: str) -> Iterator[str]:
    """Yield addresses from lines `|-- 192.0.2.7` followed by `/32 host LOCAL`."""
    last = ""
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "|--":
            last = words[1]
        elif words[-2:] == ["host", "LOCAL"]:
            yield last


def _local_ipv6(text: str) -> Iterator[str]:
    yield from (
        str(ipaddress.IPv6Address(int(line.split()[0], 16)))
        for line in text.splitlines()
        if line.strip()
    )


def _gateways_ipv4(text: str) -> Iterator[str]:
    """Yield gateways from rows of interface, destination, gateway, flags, in native byte order."""
    for line in text.splitlines()[1:]:
        words = line.split()
        if len(words) > 3 and int(words[1], 16) == 0 and int(words[3], 16) & _GATEWAY:
            yield str(ipaddress.IPv4Address(int(words[2], 16).to_bytes(4, sys.byteorder)))


def _gateways_ipv6(text: str) -> Iterator[str]:
    """Yield gateways from rows of destination, its length, source, its length, next hop."""
    for line in text.splitlines():
        words = line.split()
        if len(words) > 4 and int(words[0], 16) == 0 and int(words[1], 16) == 0:
            yield str(ipaddress.IPv6Address(int(words[4], 16)))


def _nameservers(text: str) -> Iterator[str]:
    for line in text.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver":
            yield words[1]


def _host(host: str, why: str) -> Iterator[InfrastructureItem]:
    """Yield a host, and its name as a domain, because blocking that cuts the host off."""
    bare = host.strip().strip("[]").rstrip(".").lower()
    if _is_address(bare):
        if (address := _shared(bare)) is not None:
            yield InfrastructureItem(ObservableType.ADDRESS, str(address), why)
        return
    if bare in {"", "localhost"}:
        return
    for kind in (
        (ObservableType.HOST, ObservableType.DOMAIN) if "." in bare else (ObservableType.HOST,)
    ):
        try:
            yield InfrastructureItem(kind, CANONICAL[kind](bare), why)
        except ValueError:
            _log.warning("own infrastructure: not a host name", host=bare[:255], why=why)


async def _resolved(host: str, why: str) -> list[InfrastructureItem]:
    bare = host.strip().strip("[]")
    if not bare or _is_address(bare) or bare.lower() == "localhost":
        return []
    try:
        async with asyncio.timeout(_RESOLVE_SECONDS):
            answers = await asyncio.get_running_loop().getaddrinfo(
                bare, None, type=socket.SOCK_STREAM
            )
    except (OSError, UnicodeError) as error:  # a TimeoutError is an OSError
        _log.info(
            "own infrastructure: host does not resolve",
            host=bare[:255],
            error=type(error).__name__,
        )
        return []
    found = (_shared(str(answer[4][0])) for answer in answers)
    return [
        InfrastructureItem(ObservableType.ADDRESS, str(address), f"{why} ({bare})")
        for address in found
        if address is not None
    ]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return True
