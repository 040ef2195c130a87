"""Who stands in for the people and machines of a recorded run? The same stand-in for the same one, also inside of longer texts."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from orchestrator.domain.masking import MASK, masked

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Kind = Literal["user", "host", "email", "domain", "user_id", "host_id"]

NOBODY = {
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
"""Accounts that every machine has tell of no person, and playbooks and policies name them."""

_KEYS: dict[str, Kind] = {
    "host": "host", "hostname": "host", "host_name": "host", "device": "host", "computer_name": "host",
    "user": "user", "username": "user", "user_name": "user", "login": "user", "account": "user", "owner": "user", "assignee": "user",
    "display_name": "user", "full_name": "user", "first_name": "user", "last_name": "user", "email": "email", "mail": "email",
}  # fmt: skip
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
"""A shorter name is replaced where it stands alone, not inside of texts: it would be found in ordinary words."""
_INNER_NETS = ("10.255", "192.168", "172.31")
_TEST_NETS = ("203.0.113", "198.51.100", "192.0.2")
_HOSTS_OF_A_NET = 254
_SMALLEST_NETWORK = 2
_TRIES = 300


@dataclass(slots=True)
class StandIns:
    """First everything is looked through by `notification`, then written anew by `instead`.

    A network that is named somewhere stays as it is, and whoever lies in it goes on doing so: policies and conditions speak of networks.
    """

    _known: dict[str, str] = field(default_factory=dict)  # in small letters -> what stands for it
    _counts: dict[str, int] = field(default_factory=dict)
    _networks: set[Network] = field(default_factory=set)
    _pattern: re.Pattern[str] | None = None

    def notification(self, value: Any, about: str | None = None) -> None:
        """Finds the names in a JSON value. `about`: `host` or `user`, where the whole value is a record of one."""
        match value:
            case Mapping():
                self._notice_record(value, about)
            case list() | tuple():
                for each in value:
                    self.notification(each, about)
            case str():
                self.notice_networks(value)
                for address in _EMAIL.findall(value):
                    self._learn(address, "email")
                for name in _HOME.findall(value):
                    self._learn(name, "user")

    def notice_networks(self, text: str) -> None:
        """Finds nothing but networks, such as in a policy or in a condition."""
        self._networks.update(
            network for found in _ADDRESS.findall(text) if (network := _network(found)) is not None
        )

    def instead(self, value: Any) -> Any:
        """The value with stand-ins, and with what looks like a secret masked."""
        return self._written(masked(value))

    def _written(self, value: Any) -> Any:
        match value:
            case Mapping():
                return {key: self._written(each) for key, each in value.items()}
            case list() | tuple():
                return [self._written(each) for each in value]
            case str() if value != MASK:
                return self._known.get(value.lower()) or self._text(value)
            case _:
                return value

    def _notice_record(self, record: Mapping[str, Any], about: str | None) -> None:
        part = _PARTS.get(about or "", {})
        kind = record.get("type")
        for key, value in record.items():
            self.notification(value, key if key in _PARTS else None)
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
            or name.lower() in NOBODY
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
            self._known[name.lower()] = (
                f"{self._known.get(domain.lower(), domain)}\\{self._known.get(plain.lower(), plain)}"
            )
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
        """Of the same shape, as an action may look at that."""
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
        told = self._pattern.sub(lambda found: self._known[found[0].lower()], text)
        return _ADDRESS.sub(lambda found: self._address(found[0]), told)

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
            return text  # says nothing of anybody, and policies name it
        known = str(address)
        if known not in self._known:
            self._known[known] = self._stand_in(address)
        return f"{self._known[known]}{slash}{length}"

    def _stand_in(self, address: Address) -> str:
        """The next one that lies in the same of the networks that are named. In one that has no room for it, it stays as it is."""
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
        # Beyond 762 addresses those of the range for measurements go on, which is nobody's either.
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
    """A network of more than two addresses, written as one; in `10.1.2.3/24` an address stands."""
    if "/" not in text:
        return None
    try:
        found = ipaddress.ip_network(text)
    except ValueError:
        return None
    return found if found.num_addresses > _SMALLEST_NETWORK else None


def _documentation(address: Address) -> bool:
    """What Python calls private too, though lessons and emulators use it for strangers."""
    nets = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
    return any(address in ipaddress.ip_network(net) for net in nets)
