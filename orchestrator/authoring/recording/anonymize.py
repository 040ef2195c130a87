"""Anonymization of recorded runs: the same stand-in for the same person or machine everywhere.

Why not a library such as Presidio: it finds names by language models, and names of hosts and users
in alerts are no language. Here the structure of the data says what is a name, and networks that
policies and conditions name keep their meaning.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from orchestrator.domain.masking import MASK, mask_secrets

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Kind = Literal["user", "host", "email", "domain", "user_id", "host_id"]

WELL_KNOWN_ACCOUNTS = {
    "root",
    "administrator",
    "admin",
    "system",
    "guest",
    "nobody",
    "unknown",
    "local system",
    "network service",
    "www-data",
}
"""Accounts of every machine: they identify no person, and playbooks and policies name them."""

_KEYS: dict[str, Kind] = {
    **dict.fromkeys(("host", "hostname", "host_name", "device", "computer_name"), "host"),
    **dict.fromkeys(("user", "username", "user_name", "login", "account"), "user"),
    **dict.fromkeys(("owner", "assignee"), "user"),
    **dict.fromkeys(("display_name", "full_name", "first_name", "last_name"), "user"),
    **dict.fromkeys(("email", "mail"), "email"),
}
_PARTS: dict[str, dict[str, Kind]] = {
    "host": {"name": "host", "id": "host_id"},
    "user": {"name": "user", "id": "user_id", "domain": "domain"},
}
_EMAIL = re.compile(r"[A-Za-z0-9._%+'-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_ADDRESS = re.compile(
    r"(?<![\w.:-])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7})(?:/\d{1,3})?(?![\w:]|\.\d)"
)
_HOME = re.compile(r"(?:[\\/](?:Users|home)[\\/]+)([^\\/\s:*?\"<>|]+)", re.IGNORECASE)
_SHORTEST = 3
"""A shorter name is replaced as a whole value only: inside texts it occurs in ordinary words."""
_INNER_NETS = ("10.255", "192.168", "172.31")
_TEST_NETS = ("203.0.113", "198.51.100", "192.0.2")
_HOSTS_OF_A_NET = 254
_SMALLEST_NETWORK = 2
_TRIES = 300


@dataclass(slots=True)
class Anonymizer:
    """Learns all names first (`learn`), then replaces them (`replace`).

    Networks stay as they are, and addresses stay in their networks, as policies and conditions
    name networks.
    """

    _known: dict[str, str] = field(default_factory=dict)  # name in lower case -> its stand-in
    _counts: dict[str, int] = field(default_factory=dict)
    _networks: set[Network] = field(default_factory=set)
    _pattern: re.Pattern[str] | None = None

    def learn(self, value: Any, about: str | None = None) -> None:
        """Learn the names in a JSON value.

        `about` is `host` or `user` where the whole value is the record of one.
        """
        match value:
            case Mapping():
                self._learn_record(value, about)
            case list() | tuple():
                for each in value:
                    self.learn(each, about)
            case str():
                self.learn_networks(value)
                for address in _EMAIL.findall(value):
                    self._learn(address, "email")
                for name in _HOME.findall(value):
                    self._learn(name, "user")

    def learn_networks(self, text: str) -> None:
        """Learn the networks in a text, such as a policy or a condition."""
        self._networks.update(
            network for found in _ADDRESS.findall(text) if (network := _network(found)) is not None
        )

    def replace(self, value: Any) -> Any:
        """Return the value with stand-ins, and with secrets masked."""
        return self._replaced(mask_secrets(value))

    def _replaced(self, value: Any) -> Any:
        match value:
            case Mapping():
                return {key: self._replaced(each) for key, each in value.items()}
            case list() | tuple():
                return [self._replaced(each) for each in value]
            case str() if value != MASK:
                return self._known.get(value.lower()) or self._text(value)
            case _:
                return value

    def _learn_record(self, record: Mapping[str, Any], about: str | None) -> None:
        part = _PARTS.get(about or "", {})
        kind = record.get("type")
        for key, value in record.items():
            self.learn(value, key if key in _PARTS else None)
            if not isinstance(value, str):
                continue
            if found := part.get(key) or _KEYS.get(key):
                self._learn(value, found)
            elif key == "value" and kind in {
                "host",
                "user",
                "email",
            }:  # an observable, an asset or a target
                self._learn(value, _KEYS[kind])

    def _learn(self, name: str, kind: Kind) -> None:
        name = name.strip()
        if (
            not name
            or name.lower() in self._known
            or name.lower() in WELL_KNOWN_ACCOUNTS
            or _is_address(name)
            or name == MASK
        ):
            return
        self._pattern = None
        match kind:
            case "user":
                self._learn_user(name)
            case "email":
                self._learn_email(name)
            case "host":
                self._learn_host(name)
            case "domain":
                self._known[name.lower()] = f"domain-{self._number('domain')}"
            case "user_id" | "host_id":
                self._learn_id(name)

    def _learn_user(self, name: str) -> None:
        domain, slash, plain = name.rpartition("\\")
        if slash:
            self._learn(domain, "domain")
            self._learn(plain, "user")
            parts = (self._known.get(part.lower(), part) for part in (domain, plain))
            self._known[name.lower()] = "\\".join(parts)
        elif "@" in name:
            self._learn(name, "email")
        else:
            self._known[name.lower()] = f"user-{self._number('user')}"

    def _learn_email(self, name: str) -> None:
        local = name.rpartition("@")[0].lower()
        self._learn(local, "user")
        self._known[name.lower()] = f"{self._known.get(local, local)}@corp.example"

    def _learn_host(self, name: str) -> None:
        short, dot, _ = name.lower().rstrip(".").partition(".")
        if re.fullmatch(r"[0-9a-f]{16,64}", short):
            self._learn_id(name)
            return
        if short not in self._known:
            self._known[short] = f"host-{self._number('host')}"
        if dot:
            self._known[name.lower()] = f"{self._known[short]}.corp.example"

    def _learn_id(self, name: str) -> None:
        """Learn an id; its stand-in has the same shape, as an action may check it."""
        number = self._number("id")
        self._known[name.lower()] = (
            f"{number:0{len(name)}x}"
            if re.fullmatch(r"[0-9A-Fa-f]{8,64}", name)
            else f"id-{number}"
        )

    def _number(self, kind: str) -> int:
        self._counts[kind] = self._counts.get(kind, 0) + 1
        return self._counts[kind]

    def _text(self, text: str) -> str:
        if self._pattern is None:
            names = sorted(
                (name for name in self._known if len(name) >= _SHORTEST), key=len, reverse=True
            )
            either = "|".join(map(re.escape, names)) or r"(?!)"
            self._pattern = re.compile(rf"(?<![\w-])(?:{either})(?![\w-])", re.IGNORECASE)
        replaced = self._pattern.sub(lambda found: self._known[found[0].lower()], text)
        return _ADDRESS.sub(lambda found: self._address(found[0]), replaced)

    def _address(self, text: str) -> str:
        plain, slash, length = text.partition("/")
        try:
            address = ipaddress.ip_address(plain)
        except ValueError:
            return text
        if _network(text) is not None:
            return text
        if (
            address.is_loopback
            or address.is_unspecified
            or address.is_multicast
            or address.is_link_local
        ):
            return text  # identifies no machine, and policies name it
        known = str(address)
        if known not in self._known:
            self._known[known] = self._stand_in(address)
        return f"{self._known[known]}{slash}{length}"

    def _stand_in(self, address: Address) -> str:
        """Return the next free address in the same known networks, or the address if none is."""
        around = self._around(address)
        for inner in _INNER_NETS:
            for _ in range(_TRIES):
                if (
                    self._around(ipaddress.ip_address(found := self._next(address, inner)))
                    == around
                ):
                    return found
        innermost = max(around, key=lambda network: network.prefixlen, default=None)
        for number in range(1, _TRIES) if innermost is not None else ():
            within = innermost.network_address + number if innermost is not None else address
            if self._around(within) == around and str(within) not in self._known.values():
                return str(within)
        return str(address)

    def _around(self, address: Address) -> frozenset[Network]:
        return frozenset(
            network
            for network in self._networks
            if address.version == network.version and address in network
        )

    def _next(self, address: Address, inner: str) -> str:
        internal = address.is_private and not _documentation(address)
        six = isinstance(address, ipaddress.IPv6Address)
        number = self._number(f"{inner if internal else 'outer'} {six}")
        if six:
            return f"{'fd00::' if internal else '2001:db8::'}{number:x}"
        if internal:
            return f"{inner}.{number // 254}.{number % 254 + 1}"
        net, last = divmod(number - 1, _HOSTS_OF_A_NET)
        # After 762 addresses: the range for benchmarks, which belongs to no one either.
        return (
            f"{_TEST_NETS[net]}.{last + 1}"
            if net < len(_TEST_NETS)
            else f"198.18.{(net - len(_TEST_NETS)) % 256}.{last + 1}"
        )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _network(text: str) -> Network | None:
    """Return a network of more than two addresses; `10.1.2.3/24` is an address, not a network."""
    if "/" not in text:
        return None
    try:
        found = ipaddress.ip_network(text)
    except ValueError:
        return None
    return found if found.num_addresses > _SMALLEST_NETWORK else None


def _documentation(address: Address) -> bool:
    """Return whether an address is for documentation; Python counts those as private too."""
    nets = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
    return any(address in ipaddress.ip_network(net) for net in nets)
