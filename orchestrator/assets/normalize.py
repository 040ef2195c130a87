"""In how many ways is one thing written? Addresses inside of addresses, hosts with and without their domain, users of a directory."""

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
    (ipaddress.IPv6Network("64:ff9b:1::/48"), 96),  # NAT64 of one's own
    (ipaddress.IPv6Network("2002::/16"), 16),  # 6to4
    (_LOW, 96),
)
"""Networks whose addresses carry an IPv4 address, and from which bit on."""
_PART = re.compile(r"0x[0-9a-f]+|\d+")
_SHORTEST_NUMBER = 1 << 24
"""A lone number below is the id of something, and no address."""


@lru_cache(maxsize=4096)
def readings(text: str) -> tuple[IP, ...]:
    """The addresses that a name may be read as, in any spelling that some resolver takes; none: it is a name.

    `[::1]`, `fe80::1%2`, `1.2.3.4:80`, `10.1`, `0x7f.1`; `010.0.0.1` is 8.0.0.1 to some, and 10.0.0.1 to others.
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
        found = (_of_old(each) for each in dict.fromkeys((bare, plain)))
        return tuple(dict.fromkeys(each for each in found if each is not None))


def forms(address: IP) -> tuple[IP, ...]:
    """The address, and the IPv4 address that it carries inside."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    if address in _TEREDO:
        return (address, ipaddress.IPv4Address(~int(address) & 0xFFFF_FFFF))
    if address in _LOW and int(address) <= 1:
        return (address,)
    carried = (_carried(ipaddress.IPv6Network(address), *each) for each in _CARRIERS)
    return (address, *(each.network_address for each in carried if each is not None))


@lru_cache(maxsize=4096)
def net_forms(network: Net) -> tuple[Net, ...]:
    """The network, and the IPv4 network that its addresses carry inside: all of IPv4 where it holds one that carries all."""
    if isinstance(network, ipaddress.IPv4Network):
        return (network,)
    carried = (_carried(network, *each) for each in _CARRIERS)
    return tuple(dict.fromkeys((network, *(each for each in carried if each is not None))))


def is_address(text: str) -> bool:
    """Whether a name is an IP address."""
    return bool(readings(text))


def same_host(entry: str, name: str) -> bool:
    """`dc-01` and `dc-01.corp.example` are one host; two full names are only when they are equal."""
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
    r"""`root`, `CORP\root` and `root@corp.example` are one user; with two domains, only when those are alike.

    `mailbox`: also `root+news`, whose mail goes to the same person; an account of its own in a directory.
    """
    (one, one_domain), (other, other_domain) = _user(_plain(entry)), _user(_plain(name))
    if one != other and not (mailbox and one == other.partition("+")[0]):
        return False
    return (
        not one_domain
        or not other_domain
        or one_domain.partition(".")[0] == other_domain.partition(".")[0]
    )


def _of_old(text: str) -> ipaddress.IPv4Address | None:
    """As inet_aton reads it: fewer parts than four, octal, hexadecimal."""
    parts = text.split(".")
    if len(parts) > 4 or not all(_PART.fullmatch(part) for part in parts):
        return None
    try:
        found = ipaddress.IPv4Address(socket.inet_aton(text))
    except (OSError, ValueError):
        return None
    return None if len(parts) == 1 and int(found) < _SHORTEST_NUMBER else found


def _carried(
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
    r"""Without what Windows puts around it (`\\dc-01`, `dc-01$`), and letters of other scripts as DNS has them."""
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
    """Full-width and other look-alikes of one mail are that mail."""
    return unicodedata.normalize("NFKC", name).strip().lower()
