"""Export of the trail into one file that anyone can verify offline."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from datetime import datetime
from pathlib import Path

from orchestrator.audit.format import (
    Head,
    Header,
    HeadLine,
    batch_line,
    event_line,
    sign_head,
)
from orchestrator.audit.seal import GENESIS
from orchestrator.crypto.private_file import sync_folder
from orchestrator.crypto.signing import PublicKey, SigningKey
from orchestrator.domain.audit_batch import AuditEntry, Batch
from orchestrator.domain.audit_event import canonical_time
from orchestrator.domain.errors import Conflict, Invalid

Row = AuditEntry | Batch
"""What the store yields, in order: the entries of a batch, then the batch."""


async def write_export(
    path: Path,
    rows: AsyncIterable[Row] | Iterable[Row],
    *,
    key: SigningKey,
    earlier: Sequence[PublicKey] = (),
    environment: str,
    now: datetime,
) -> Head:
    """Write the whole trail to `path` (mode 600) in constant memory, and return its head.

    `earlier`: the retired keys that signed the first batches, oldest first.
    The file is written completely or not at all; an earlier one is replaced. `rows` begin with
    event 1 and end with a batch. Raise Conflict where the end is not sealed, Invalid where an
    event or the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        try:
            lines = export_lines(rows, key=key, earlier=earlier, environment=environment, now=now)
            head = await _write_new(temporary, lines)
            temporary.replace(path)
            sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise Invalid(
            f"{path}: cannot be written ({error.strerror}); name a file in a writable folder"
        ) from error
    return head


async def export_lines(
    rows: AsyncIterable[Row] | Iterable[Row],
    *,
    key: SigningKey,
    earlier: Sequence[PublicKey] = (),
    environment: str,
    now: datetime,
) -> AsyncGenerator[bytes, None]:
    """Yield the lines of an export, the head last. Raise as `write_export`."""
    header = Header(
        environment=environment,
        exported_at=canonical_time(now),
        public_key=key.public.hex,
        earlier_keys=[each.hex for each in earlier],
    ).line()
    yield header
    events, waiting, newest = 0, 0, None
    async for row in _iterate(rows):
        match row:
            case AuditEntry():
                events, waiting = events + 1, waiting + 1
                yield _event_line(row)
            case Batch():
                newest, waiting = row, 0
                yield batch_line(row)
    if waiting:
        raise Conflict(
            f"the last {waiting} events of the trail are not sealed yet; "
            "seal them or leave them out, then export again"
        )
    batches, digest = (newest.number, newest.digest) if newest else (0, GENESIS)
    yield sign_head(key, batches=batches, events=events, digest=digest, header=header).line()


async def _write_new(path: Path, lines: AsyncGenerator[bytes, None]) -> Head:
    line = b""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb", buffering=1 << 16) as file:
        async with aclosing(lines):
            async for line in lines:
                file.write(line)
        file.flush()
        os.fsync(file.fileno())
    return HeadLine.model_validate_json(line).head


def _event_line(entry: AuditEntry) -> bytes:
    try:
        return event_line(entry)
    except ValueError as error:
        name = f"event {entry.record.get('seq')} ({entry.record.get('id')})"
        raise Invalid(
            f"{name} cannot be written: {error}; it was changed in the store after it was sealed"
        ) from error


async def _iterate(rows: AsyncIterable[Row] | Iterable[Row]) -> AsyncIterator[Row]:
    if isinstance(rows, AsyncIterable):
        async for row in rows:
            yield row
    else:
        for row in rows:
            yield row
