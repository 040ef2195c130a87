"""What an alert names, collected: typed, canonical, each thing once, bounded, and never a crash over a bad one."""

from __future__ import annotations

import ipaddress
import re

from orchestrator.domain.alert import Endpoint, FileSeen, Host, ProcessSeen, UserAccount
from orchestrator.domain.observable import (
    CANONICAL,
    Observable,
    ObservableType,
    Role,
    canonical_address,
)
from orchestrator.intake.normalize.json_cursor import MAX_NAME, MAX_TEXT, clean

MAX_OBSERVABLES = 256
"""Observables that one alert keeps; the principal ones are collected first."""

_PLACEHOLDERS = frozenset(
    {
        "",
        "-",
        "*",
        "n/a",
        "na",
        "<na>",
        "<none>",
        "null",
        "(null)",
        "none",
        "nil",
        "unknown",
        "undefined",
        "any",
    }
)
_MAX_USER = 320
_PORT = re.compile(r"[0-9]{1,5}")
_PORTS = range(1, 65536)


def split_address(text: str) -> tuple[str, int | None]:
    """`192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]:80` or `192.0.2.1/32` as canonical address and port. Raises ValueError."""
    text = text.strip()[:MAX_NAME]
    if text.startswith("["):
        inside, _, behind = text[1:].partition("]")
        return canonical_address(inside), _port(behind.removeprefix(":"))
    if text.count(":") == 1:
        address, _, port = text.partition(":")
        return canonical_address(address), _port(port)
    address, slash, length = text.partition("/")
    if slash and length != str(ipaddress.ip_address(address).max_prefixlen):
        message = f"{text!r} is a network, not an address"
        raise ValueError(message)
    return canonical_address(address), None


def _port(text: str) -> int | None:
    return int(text) if _PORT.fullmatch(text) and int(text) in _PORTS else None


class Sightings:
    """Collects the observables of one alert. Every method takes what a payload holds (or None) and gives the canonical value, or None."""

    def __init__(self) -> None:
        self._found: dict[tuple[ObservableType, str], Observable] = {}

    def all(self) -> tuple[Observable, ...]:
        """What was collected, in order."""
        return tuple(self._found.values())

    def see(self, kind: ObservableType, text: str | None, role: Role = Role.RELATED) -> str | None:
        """One observable of a known type; dropped where the text is no such thing."""
        if text is None or text.strip().lower() in _PLACEHOLDERS or len(text) > MAX_TEXT:
            return None
        if kind is ObservableType.DOMAIN and len(text) > MAX_NAME:
            return None  # before the IDNA codec, which takes quadratic time
        try:
            value = (
                split_address(text)[0] if kind is ObservableType.ADDRESS else CANONICAL[kind](text)
            )
        except ValueError:
            return None
        value = clean(value)
        if len(self._found) < MAX_OBSERVABLES and 0 < len(value) <= MAX_TEXT:
            self._found.setdefault((kind, value), Observable(type=kind, value=value, role=role))
        return value or None

    def name(self, text: str | None, role: Role = Role.RELATED) -> tuple[str | None, str | None]:
        """What stands where a server name belongs (a Host header, an SNI): (address, domain), one of them None."""
        if text is None:
            return None, None
        address = self.see(ObservableType.ADDRESS, text, role)
        if address:
            return address, None
        bare, colon, port = text.partition(":")
        return None, self.see(
            ObservableType.DOMAIN, bare if colon and port.isdigit() else text, role
        )

    def endpoint(
        self, text: str | None, port: int | None = None, role: Role = Role.RELATED
    ) -> Endpoint | None:
        """An address, perhaps with its port written behind it."""
        address = self.see(ObservableType.ADDRESS, text, role)
        if address is None or text is None:
            return None
        return Endpoint(address=address, port=port if port is not None else split_address(text)[1])

    def host(
        self, host_id: str | None, name: str | None, address: str | None, role: Role = Role.LOCAL
    ) -> Host | None:
        """A machine of ours: the vendor's id, its name, its address."""
        known = Host(
            id=self.see(ObservableType.HOST, host_id, role),
            name=self.see(ObservableType.HOST, name, role) or _named(name),
            address=self.see(ObservableType.ADDRESS, address, role),
        )
        return known if known.id or known.name or known.address else None

    def account(
        self, text: str | None, domain: str | None = None, role: Role = Role.SUBJECT
    ) -> UserAccount | None:
        r"""A user as `name`, `DOMAIN\name` or `name@domain`; the last is an e-mail address, too."""
        if (name := _named(text, _MAX_USER)) is None:
            return None
        prefix, backslash, bare = name.rpartition("\\")
        email = self.see(ObservableType.EMAIL, name, role) if "@" in name else None
        user = self.see(ObservableType.USER, bare if backslash else name, role)
        return (
            UserAccount(name=user, domain=_named(prefix) or _named(domain), email=email)
            if user
            else None
        )

    def file(
        self,
        name: str | None,
        path: str | None,
        hashes: dict[str, str | None],
        role: Role = Role.SUBJECT,
    ) -> FileSeen | None:
        """A file by name, path and hashes (`sha256`, `sha1`, `md5`); a hash of the wrong length is dropped."""
        lengths = {"sha256": 64, "sha1": 40, "md5": 32}
        good = {
            kind: text
            for kind, text in hashes.items()
            if text and len(text.strip()) == lengths.get(kind)
        }
        seen = {kind: self.see(ObservableType.HASH, text, role) for kind, text in good.items()}
        where = self.see(ObservableType.FILE, path, role)
        called = _named(name) or (
            where.replace("\\", "/").rpartition("/")[2][:MAX_NAME] or None if where else None
        )
        if where is None and called:
            self.see(ObservableType.FILE, called, role)
        known = FileSeen(name=called, path=where, **seen)
        return known if any(known.model_dump().values()) else None

    def process(
        self, name: str | None, command_line: str | None, pid: int | None, role: Role = Role.SUBJECT
    ) -> ProcessSeen | None:
        """A process by name, command line and number."""
        known = ProcessSeen(
            name=self.see(ObservableType.PROCESS, name, role),
            command_line=_named(command_line, MAX_TEXT),
            pid=pid,
        )
        return known if known.name or known.command_line or known.pid is not None else None


def _named(text: str | None, limit: int = MAX_NAME) -> str | None:
    return (
        None
        if text is None or text.strip().lower() in _PLACEHOLDERS
        else clean(text, limit) or None
    )
