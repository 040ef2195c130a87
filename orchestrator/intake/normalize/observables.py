"""A collector of observables: typed, canonical, each one once, bounded in number.

Invalid text is never an error: it is left out, and the alert's omissions say so.
"""

from __future__ import annotations

import re

from orchestrator.domain.alert import (
    Endpoint,
    FileInfo,
    Host,
    OmissionReason,
    ProcessInfo,
    UserAccount,
)
from orchestrator.domain.observable import (
    Observable,
    ObservableRole,
    ObservableType,
)
from orchestrator.domain.untrusted.text import MAX_TEXT, sanitize
from orchestrator.intake.normalize.json_cursor import MAX_NAME, FieldText
from orchestrator.intake.normalize.observable_values import parse_value, split_address
from orchestrator.intake.normalize.omissions import Omissions, shorten
from orchestrator.intake.normalize.refang import refang

MAX_OBSERVABLES = 256
"""Observables that one alert keeps. Parsers collect the principal ones first."""

_PLACEHOLDERS = frozenset({"", "-", "*", "n/a", "<na>", "<none>", "(null)"})
"""What products write for "no value"."""
_WORDS = frozenset({"na", "null", "none", "nil", "unknown", "undefined", "any"})
"""Words that mean "no value", and that a person may also choose as a name."""
_NAMES = frozenset(
    {
        ObservableType.USER,
        ObservableType.HOST,
        ObservableType.DOMAIN,
        ObservableType.FILE,
        ObservableType.PROCESS,
    }
)
_LISTED = frozenset(
    {
        ObservableType.ADDRESS,
        ObservableType.NETWORK,
        ObservableType.DOMAIN,
        ObservableType.EMAIL,
        ObservableType.HASH,
    }
)
"""Types whose values hold no comma, so that `a,b` is two of them."""
_SEPARATOR = re.compile(r"\s*[,;]\s*")
_MAX_LISTED = 64
_EXPECTED = {
    ObservableType.ADDRESS: "an address",
    ObservableType.NETWORK: "a network",
    ObservableType.DOMAIN: "a domain",
    ObservableType.URL: "a URL",
    ObservableType.HASH: "a hash",
    ObservableType.USER: "a user name",
    ObservableType.HOST: "a host name",
    ObservableType.EMAIL: "an e-mail address",
    ObservableType.FILE: "a file name",
    ObservableType.PROCESS: "a process name",
}
_MAX_USER = 320
_MAX_DROPPED = 8192
_HASH_LENGTHS = {"sha256": 64, "sha1": 40, "md5": 32}


class ObservableCollector:
    """The observables of one alert.

    Each method takes text from the payload, or None, and returns the canonical value, or None.
    `omissions`: where it records what it leaves out.
    """

    def __init__(self, omissions: Omissions | None = None) -> None:
        self.omissions = omissions or Omissions()
        self._found: dict[tuple[ObservableType, str], Observable] = {}
        self._dropped: set[tuple[ObservableType, str]] = set()

    def all(self) -> tuple[Observable, ...]:
        """Return what was collected, in order. The omissions say how many more there were."""
        for kind in sorted({kind for kind, _ in self._dropped}):
            kept = sum(each is kind for each, _ in self._found)
            total = kept + sum(each is kind for each, _ in self._dropped)
            message = f"{kept} of {total} {kind.plural} kept"
            self.omissions.add("observables", OmissionReason.LIMIT, message)
        return tuple(self._found.values())

    def add(
        self,
        kind: ObservableType,
        text: str | None,
        role: ObservableRole = ObservableRole.RELATED,
        *,
        guess: bool = False,
    ) -> str | None:
        """Add one observable, or each of a list `a, b`. Return the first one.

        Text that is not of this type is an omission, except where the type is a `guess`.
        """
        if text is None or self._is_placeholder(kind, text):
            return None
        values = [
            value
            for part in self._parts(kind, text, guess=guess)
            if (value := parse_value(kind, part))
        ]
        for value in values:
            self._keep(Observable(type=kind, value=value, role=role))
        return values[0] if values else None

    def _keep(self, found: Observable) -> None:
        key = (found.type, found.value)
        if key in self._found:
            return
        if len(self._found) < MAX_OBSERVABLES:
            self._found[key] = found
        elif len(self._dropped) < _MAX_DROPPED:
            self._dropped.add(key)

    def _parts(self, kind: ObservableType, text: str, *, guess: bool = False) -> list[str]:
        """Return the text, or the parts of the list that it is, of which each can be parsed."""
        whole = refang(kind, text)
        if parse_value(kind, whole) is not None:
            return [whole]
        parts = [part for part in _SEPARATOR.split(whole) if part]
        if kind not in _LISTED or len(parts) < 2:
            parts = [whole]
        if len(parts) > _MAX_LISTED:
            message = f"{_MAX_LISTED} of {len(parts)} values read"
            self.omissions.add(_field(kind, text), OmissionReason.LIMIT, message)
        readable = []
        for part in parts[:_MAX_LISTED]:
            if parse_value(kind, part) is not None:
                readable.append(part)
            elif not guess and not self._is_placeholder(kind, part):
                self.omissions.add_unreadable(_field(kind, text), part, _EXPECTED[kind])
        return readable

    def _is_placeholder(self, kind: ObservableType, text: str) -> bool:
        word = text.strip().lower()
        if word in _WORDS and kind in _NAMES:
            message = f"{shorten(text)!r} is read as no value"
            self.omissions.add(_field(kind, text), OmissionReason.PLACEHOLDER, message)
        return word in _PLACEHOLDERS or word in _WORDS

    def add_server_name(
        self, text: str | None, role: ObservableRole = ObservableRole.RELATED
    ) -> tuple[str | None, str | None]:
        """Add what a Host header or an SNI names. Return (address, domain), one of them None."""
        if text is None:
            return None, None
        address = self.add(ObservableType.ADDRESS, text, role, guess=True)
        if address:
            return address, None
        bare, colon, port = text.partition(":")
        if colon and port.isdigit():
            return None, self.add(ObservableType.DOMAIN, bare, role)
        return None, self.add(ObservableType.DOMAIN, text, role)

    def add_endpoint(
        self,
        text: str | None,
        port: int | None = None,
        role: ObservableRole = ObservableRole.RELATED,
    ) -> Endpoint | None:
        """Add an address, with or without its port. Of several, the first is the endpoint."""
        if text is None or self.add(ObservableType.ADDRESS, text, role) is None:
            return None
        ends = [split_address(part) for part in self._parts(ObservableType.ADDRESS, text)]
        if len(ends) > 1:
            message = f"{len(ends)} addresses; the first counts as the endpoint"
            field = _field(ObservableType.ADDRESS, text)
            self.omissions.add(field, OmissionReason.AMBIGUOUS, message)
        address, own_port = ends[0]
        return Endpoint(address=address, port=port if port is not None else own_port)

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
            name=self.add(ObservableType.HOST, name, role, guess=True) or _printable(name),
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
        if text is None or self._is_placeholder(ObservableType.USER, text):
            return None
        if (name := _printable(text, _MAX_USER)) is None:
            return None
        prefix, backslash, bare = name.rpartition("\\")
        email = self.add(ObservableType.EMAIL, name, role, guess=True) if "@" in name else None
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

        A hash of the wrong length is an omission.
        """
        digests = {kind: self._add_hash(kind, text, role) for kind, text in hashes.items()}
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

    def _add_hash(self, kind: str, text: str | None, role: ObservableRole) -> str | None:
        if text is None or self._is_placeholder(ObservableType.HASH, text):
            return None
        if len(text.strip()) != _HASH_LENGTHS[kind]:
            self.omissions.add_unreadable(_field(ObservableType.HASH, text), text, f"a {kind}")
            return None
        return self.add(ObservableType.HASH, text, role)

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


def _field(kind: ObservableType, text: str) -> str:
    """Return the path that the text was read from, or what it was read as."""
    return text.path if isinstance(text, FieldText) else kind.value


def _printable(text: str | None, limit: int = MAX_NAME) -> str | None:
    return (
        None
        if text is None or text.strip().lower() in _PLACEHOLDERS | _WORDS
        else sanitize(text, limit) or None
    )
