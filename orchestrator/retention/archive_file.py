"""The file of an archive: JSON lines, compressed by gzip, written completely or not at all."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import secrets
import zlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from orchestrator.crypto.private_file import sync_folder
from orchestrator.domain.errors import Invalid
from orchestrator.retention.manifest import ArchiveContent, ArchivedTable
from orchestrator.retention.records import (
    ArchivedRow,
    Fingerprints,
    Group,
    RecordKind,
    encode,
)

_CHUNK = 1 << 16


class TableSums:
    """The rows and the digest of each table, as its lines pass."""

    def __init__(self) -> None:
        """Begin without rows."""
        self._digests: dict[str, Any] = {}
        self._rows: dict[str, int] = {}

    def add(self, table: str, line: bytes) -> None:
        """Take the line of a row."""
        self._digests.setdefault(table, hashlib.sha256()).update(line)
        self._rows[table] = self._rows.get(table, 0) + 1

    def tables(self) -> dict[str, ArchivedTable]:
        """Return what passed, by table."""
        return {
            name: ArchivedTable(rows=self._rows[name], sha256=digest.hexdigest())
            for name, digest in sorted(self._digests.items())
        }


class ArchiveWriter:
    """Writes an archive under a temporary name, until it is finished. Use it as a context."""

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        """Create the file (mode 600). Raise Invalid where that is not possible."""
        self._path = path
        self._fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        self._sums = TableSums()
        self._first: datetime | None = None
        self._last: datetime | None = None
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._file = os.fdopen(os.open(self._fresh, flags, 0o600), "wb", buffering=_CHUNK)
        except OSError as error:
            raise _unwritable(path, error) from error
        self._lines = gzip.GzipFile("", "wb", fileobj=self._file, mtime=0)
        self._write(encode(header))

    def __enter__(self) -> Self:
        """Return the writer."""
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Remove the file, unless it was finished."""
        self._file.close()
        self._fresh.unlink(missing_ok=True)

    def begin(self, group: Group) -> None:
        """Begin the rows of a group."""
        self._write(encode({"group": group.kind.value, "ids": group.ids}))

    def add(self, row: ArchivedRow) -> None:
        """Write a row of the group."""
        line = encode({"table": row.table, "row": row.values})
        self._sums.add(row.table, line)
        self._write(line)
        if row.time is not None:
            self._first = min(self._first or row.time, row.time)
            self._last = max(self._last or row.time, row.time)

    def finish(self) -> ArchiveContent:
        """Sync the file to the disk, give it its name, and return what it holds."""
        tables = self._sums.tables()
        self._write(encode({"end": {name: table.rows for name, table in tables.items()}}))
        try:
            self._lines.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            with self._fresh.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            os.link(self._fresh, self._path)  # unlike a rename, it replaces nothing
            self._fresh.unlink()
            sync_folder(self._path.parent)
            size = self._path.stat().st_size
        except OSError as error:
            raise _unwritable(self._path, error) from error
        return ArchiveContent(
            file=self._path.name,
            bytes=size,
            sha256=digest,
            first=self._first,
            last=self._last,
            tables=tables,
        )

    def _write(self, line: bytes) -> None:
        try:
            self._lines.write(line)
        except OSError as error:
            raise _unwritable(self._path, error) from error


def read_lines(path: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Yield the lines of an archive, each as it is and parsed. Raise Invalid for a damaged file."""
    number, last = 0, None
    try:
        with gzip.open(path, "rb") as lines:
            for line in lines:
                number += 1
                last = json.loads(line)
                yield line, last
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Invalid(f"{path}: cannot be read after line {number} ({reason})") from error
    except ValueError as error:
        raise Invalid(f"{path}: line {number} is not JSON") from error
    if not isinstance(last, dict) or "end" not in last:
        raise Invalid(f"{path}: breaks off after line {number}")


def read_groups(path: Path) -> Iterator[tuple[Group, dict[str, bytes]]]:
    """Yield the groups of an archive with the digest of each record. Raise as `read_lines`."""
    group, prints, approvals = None, Fingerprints(), dict[str, str]()
    for _, line in read_lines(path):
        if "table" in line and group is not None:
            record = _record_of(group.kind, line["table"], line["row"], approvals)
            prints.add(ArchivedRow(record, line["table"], line["row"]))
        elif "group" in line or "end" in line:
            if group is not None:
                yield group, prints.by_record()
            prints, approvals = Fingerprints(), {}
            group = Group(RecordKind(line["group"]), line["ids"]) if "group" in line else None


def _record_of(
    kind: RecordKind, table: str, values: Mapping[str, Any], approvals: dict[str, str]
) -> str:
    """Return the record of a row. `approvals`: those of the group until then, with their runs."""
    for part in kind.parts:
        if part.name != table:
            continue
        parent = str(values[part.parent])
        if table == "approvals":
            approvals[str(values["id"])] = parent
        return approvals.get(parent, parent)
    raise Invalid(f"an archive has a row of table {table} for a {kind.value}")


def _unwritable(path: Path, error: OSError) -> Invalid:
    return Invalid(
        f"{path}: cannot be written ({error.strerror}); name a folder with enough space that the "
        "user that runs Tocsin owns"
    )
