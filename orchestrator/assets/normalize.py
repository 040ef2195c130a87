"""Equal names in different notations: embedded IPv4 addresses, hosts and users with domains."""

from __future__ import annotations

import ipaddress
import re
import socket
import unicodedata
from functools import lru_cache

IP = ipaddress.IPv4Address | ipaddress.IPv6Address
Net = ipaddress.IPv4Network | ipaddress.IPv6Network

_LOW = ipaddress.IPv6Network("::/96")  # the old IPv4-compatible form
_TEREDO = ipaddress.IPv6Network("2001::/32")
_CARRIERS = (
    (ipaddress.IPv6Network("::ffff:0:0/96"), 96),
    (ipaddress.IPv6Network("::ffff:0:0:0/96"), 96),  # translated (SIIT)
    (ipaddress.IPv6Network("64:ff9b::/96"), 96),  # NAT64
    (ipaddress.IPv6Network("64:ff9b:1::/48"), 96),  # local NAT64
    (ipaddress.IPv6Network("2002::/16"), 16),  # 6to4
    (_LOW, 96),
)
"""Networks whose addresses embed an IPv4 address, and the bit where it begins."""
_PART = re.compile(r"0x[0-9a-f]+|\d+")
_SHORTEST_NUMBER = 1 << 24
"""A single number below is an id, not an address."""


@lru_cache(maxsize=4096)
def address_readings(text: str) -> tuple[IP, ...]:
    """Return the addresses that some resolver reads a name as; empty for a name.

    Such as `[::1]`, `fe80::1%2`, `1.2.3.4:80`, `10.1` and `0x7f.1`. Some read `010.0.0.1` as
    8.0.0.1, others as 10.0.0.1.
    """
    bare = text.strip().lower().rstrip(".")
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        return (ipaddress.ip_address(bare.partition("%")[0]),)
    except ValueError:
        plain = ".".join(part.lstrip("0") or "0" for part in bare.split("."))
        found = (_parse_inet_aton(each) for each in dict.fromkeys((bare, plain)))
        return tuple(dict.fromkeys(each for each in found if each is not None))


def address_forms(address: IP) -> tuple[IP, ...]:
    """Return the address, and the IPv4 address that it embeds."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    if address in _TEREDO:
        return (address, ipaddress.IPv4Address(~int(address) & 0xFFFF_FFFF))
    if address in _LOW and int(address) <= 1:
        return (address,)
    embedded = (_embedded(ipaddress.IPv6Network(address), *each) for each in _CARRIERS)
    return (address, *(each.network_address for each in embedded if each is not None))


@lru_cache(maxsize=4096)
def network_forms(network: Net) -> tuple[Net, ...]:
    """Return the network, and the IPv4 networks that its addresses embed.

    All of IPv4 where it contains a whole embedding network.
    """
    if isinstance(network, ipaddress.IPv4Network):
        return (network,)
    embedded = (_embedded(network, *each) for each in _CARRIERS)
    return tuple(dict.fromkeys((network, *(each for each in embedded if each is not None))))


def is_address(text: str) -> bool:
    """Return whether a name is an IP address."""
    return bool(address_readings(text))


def same_host(entry: str, name: str) -> bool:
    """Return whether two names are one host: `dc-01` and `dc-01.corp.example`.

    Two full names only where they are equal.
    """
    entry, name = _plain_host(entry), _plain_host(name)
    if entry == name:
        return True
    bare = "." not in entry or "." not in name
    return (
        bare
        and not is_address(entry)
        and not is_address(name)
        and entry.partition(".")[0] == name.partition(".")[0]
    )


def same_user(entry: str, name: str, *, mailbox: bool = False) -> bool:
    r"""Return whether two names are one user: `root`, `CORP\root` and `root@corp.example`.

    With two domains only where those match. `mailbox`: also `root+news`, the same mailbox but
    another account in a directory.
    """
    (one, one_domain), (other, other_domain) = _user(_plain(entry)), _user(_plain(name))
    if one != other and not (mailbox and one == other.partition("+")[0]):
        return False
    return (
        not one_domain
        or not other_domain
        or one_domain.partition(".")[0] == other_domain.partition(".")[0]
    )


def _parse_inet_aton(text: str) -> ipaddress.IPv4Address | None:
    """Parse as inet_aton does: fewer than four parts, octal, hexadecimal."""
    parts = text.split(".")
    if len(parts) > 4 or not all(_PART.fullmatch(part) for part in parts):
        return None
    try:
        found = ipaddress.IPv4Address(socket.inet_aton(text))
    except (OSError, ValueError):
        return None
    return None if len(parts) == 1 and int(found) < _SHORTEST_NUMBER else found


def _embedded(
    network: ipaddress.IPv6Network, carrier: ipaddress.IPv6Network, first_bit: int
) -> ipaddress.IPv4Network | None:
    if carrier.subnet_of(network):
        return ipaddress.IPv4Network("0.0.0.0/0")
    if not network.subnet_of(carrier):
        return None
    inside = int(network.network_address) >> (96 - first_bit) & 0xFFFF_FFFF
    return ipaddress.IPv4Network(
        (inside, max(0, min(32, network.prefixlen - first_bit))), strict=False
    )


@lru_cache(maxsize=4096)
def _plain_host(name: str) -> str:
    r"""Return a host without Windows decoration (`\\dc-01`, `dc-01$`), and in IDNA encoding."""
    plain = _plain(name).lstrip("\\").rstrip(".").removesuffix("$")
    try:
        return plain if plain.isascii() else plain.encode("idna").decode("ascii")
    except UnicodeError:
        return plain


def _user(text: str) -> tuple[str, str]:
    if "@" not in text:
        domain, _, name = text.replace("/", "\\").rpartition("\\")
        return name, domain
    if "\\" in text:
        domain, _, name = text.partition("\\")
        return name, domain
    name, _, domain = text.partition("@")
    return name, domain


def _plain(name: str) -> str:
    """Return the name in NFKC and lower case, so that full-width letters compare equal."""
    return unicodedata.normalize("NFKC", name).strip().lower()
