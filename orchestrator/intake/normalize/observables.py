"""A collector of observables: typed, canonical, each one once, bounded in number.

Invalid text is dropped, never an error.
"""

from __future__ import annotations

import ipaddress
import re

from orchestrator.domain.alert import Endpoint, FileInfo, Host, ProcessInfo, UserAccount
from orchestrator.domain.observable import (
    CANONICAL,
    Observable,
    ObservableRole,
    ObservableType,
    canonical_address,
)
from orchestrator.intake.normalize.json_cursor import MAX_NAME, MAX_TEXT, sanitize

MAX_OBSERVABLES = 256
"""Observables that one alert keeps. Parsers collect the principal ones first."""

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
    """Return canonical address and port. Raise ValueError.

    Understands `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]:80` and `192.0.2.1/32`.
    """
    text = text.strip()[:MAX_NAME]
    if text.startswith("["):
        address, _, rest = text[1:].partition("]")
        return canonical_address(address), _port(rest.removeprefix(":"))
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


class ObservableCollector:
    """The observables of one alert.

    Each method takes text from the payload, or None, and returns the canonical value, or None.
    """

    def __init__(self) -> None:
        self._found: dict[tuple[ObservableType, str], Observable] = {}

    def all(self) -> tuple[Observable, ...]:
        """Return what was collected, in order."""
        return tuple(self._found.values())

    def add(
        self, kind: ObservableType, text: str | None, role: ObservableRole = ObservableRole.RELATED
    ) -> str | None:
        """Add one observable; text that is not of this type is dropped."""
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
        value = sanitize(value)
        if len(self._found) < MAX_OBSERVABLES and 0 < len(value) <= MAX_TEXT:
            self._found.setdefault((kind, value), Observable(type=kind, value=value, role=role))
        return value or None

    def add_server_name(
        self, text: str | None, role: ObservableRole = ObservableRole.RELATED
    ) -> tuple[str | None, str | None]:
        """Add what a Host header or an SNI names. Return (address, domain), one of them None."""
        if text is None:
            return None, None
        address = self.add(ObservableType.ADDRESS, text, role)
        if address:
            return address, None
        bare, colon, port = text.partition(":")
        return None, self.add(
            ObservableType.DOMAIN, bare if colon and port.isdigit() else text, role
        )

    def add_endpoint(
        self,
        text: str | None,
        port: int | None = None,
        role: ObservableRole = ObservableRole.RELATED,
    ) -> Endpoint | None:
        """Add an address, with or without its port."""
        address = self.add(ObservableType.ADDRESS, text, role)
        if address is None or text is None:
            return None
        return Endpoint(address=address, port=port if port is not None else split_address(text)[1])

    def add_host(
        self,
        host_id: str | None,
        name: str | None,
        address: str | None,
        role: ObservableRole = ObservableRole.LOCAL,
    ) -> Host | None:
        """Add a local machine: the vendor's id, its name, its address."""
        host = Host(
            id=self.add(ObservableType.HOST, host_id, role),
            name=self.add(ObservableType.HOST, name, role) or _printable(name),
            address=self.add(ObservableType.ADDRESS, address, role),
        )
        return host if host.id or host.name or host.address else None

    def add_user(
        self,
        text: str | None,
        domain: str | None = None,
        role: ObservableRole = ObservableRole.SUBJECT,
    ) -> UserAccount | None:
        r"""Add a user: `name`, `DOMAIN\name` or `name@domain`, an e-mail address as well."""
        if (name := _printable(text, _MAX_USER)) is None:
            return None
        prefix, backslash, bare = name.rpartition("\\")
        email = self.add(ObservableType.EMAIL, name, role) if "@" in name else None
        user = self.add(ObservableType.USER, bare if backslash else name, role)
        return (
            UserAccount(name=user, domain=_printable(prefix) or _printable(domain), email=email)
            if user
            else None
        )

    def add_file(
        self,
        name: str | None,
        path: str | None,
        hashes: dict[str, str | None],
        role: ObservableRole = ObservableRole.SUBJECT,
    ) -> FileInfo | None:
        """Add a file by name, path and hashes (`sha256`, `sha1`, `md5`).

        A hash of the wrong length is dropped.
        """
        lengths = {"sha256": 64, "sha1": 40, "md5": 32}
        valid = {
            kind: text
            for kind, text in hashes.items()
            if text and len(text.strip()) == lengths.get(kind)
        }
        digests = {kind: self.add(ObservableType.HASH, text, role) for kind, text in valid.items()}
        file_path = self.add(ObservableType.FILE, path, role)
        file_name = _printable(name) or (
            file_path.replace("\\", "/").rpartition("/")[2][:MAX_NAME] or None
            if file_path
            else None
        )
        if file_path is None and file_name:
            self.add(ObservableType.FILE, file_name, role)
        file = FileInfo(name=file_name, path=file_path, **digests)
        return file if any(file.model_dump().values()) else None

    def add_process(
        self,
        name: str | None,
        command_line: str | None,
        pid: int | None,
        role: ObservableRole = ObservableRole.SUBJECT,
    ) -> ProcessInfo | None:
        """Add a process by name, command line and process id."""
        process = ProcessInfo(
            name=self.add(ObservableType.PROCESS, name, role),
            command_line=_printable(command_line, MAX_TEXT),
            pid=pid,
        )
        return process if process.name or process.command_line or process.pid is not None else None


def _printable(text: str | None, limit: int = MAX_NAME) -> str | None:
    return (
        None
        if text is None or text.strip().lower() in _PLACEHOLDERS
        else sanitize(text, limit) or None
    )
