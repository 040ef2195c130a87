"""How the trail leaves the store: one file that anybody can check without us."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from contextlib import aclosing
from datetime import datetime
from pathlib import Path

from orchestrator.audit.seal import GENESIS
from orchestrator.audit.verify.lines import (
    Head,
    Header,
    HeadLine,
    batch_line,
    event_line,
    sign_head,
)
from orchestrator.crypto.private_file import sync_folder
from orchestrator.crypto.signing import SigningKey
from orchestrator.domain.audit_batch import Batch, Entry
from orchestrator.domain.audit_event import canonical_time
from orchestrator.domain.errors import Conflict, Invalid

Row = Entry | Batch
"""What the store reads out, in order: the entries of a batch, then the batch."""


async def write_export(
    path: Path,
    rows: AsyncIterable[Row] | Iterable[Row],
    *,
    key: SigningKey,
    environment: str,
    now: datetime,
) -> Head:
    """Writes the whole trail to `path` (mode 600), in constant memory, and gives back its head, to be kept elsewhere.

    The file is there in whole or not at all; an earlier one of that name is replaced. `rows` begin with event 1 and end with a
    batch. Raises Conflict where the end is not sealed, Invalid where an event in the store cannot be written or the file cannot.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        try:
            head = await _write_new(beside, rows, key=key, environment=environment, now=now)
            beside.replace(path)
            sync_folder(path.parent)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise Invalid(
            f"{path}: cannot be written ({error.strerror}); name a file in a folder that exists and is yours"
        ) from error
    return head


async def export_lines(
    rows: AsyncIterable[Row] | Iterable[Row], *, key: SigningKey, environment: str, now: datetime
) -> AsyncGenerator[bytes, None]:
    """The lines of an export, one by one, the head last; for where the file is not ours to write. Raises as `write_export`."""
    header = Header(
        environment=environment, exported_at=canonical_time(now), public_key=key.public.hex
    ).line()
    yield header
    events, waiting, newest = 0, 0, None
    async for row in _each(rows):
        match row:
            case Entry():
                events, waiting = events + 1, waiting + 1
                yield _event_line(row)
            case Batch():
                newest, waiting = row, 0
                yield batch_line(row)
    if waiting:
        raise Conflict(
            f"the last {waiting} events of the trail are not sealed yet; seal them, or leave them out, then export again"
        )
    batches, digest = (newest.number, newest.digest) if newest else (0, GENESIS)
    yield sign_head(key, batches=batches, events=events, digest=digest, header=header).line()


async def _write_new(
    path: Path,
    rows: AsyncIterable[Row] | Iterable[Row],
    *,
    key: SigningKey,
    environment: str,
    now: datetime,
) -> Head:
    line = b""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb", buffering=1 << 16) as file:
        async with aclosing(export_lines(rows, key=key, environment=environment, now=now)) as lines:
            async for line in lines:
                file.write(line)
        file.flush()
        os.fsync(file.fileno())
    return HeadLine.model_validate_json(line).head


def _event_line(entry: Entry) -> bytes:
    try:
        return event_line(entry)
    except ValueError as error:
        name = f"event {entry.record.get('seq')} ({entry.record.get('id')})"
        raise Invalid(
            f"{name} cannot be written: {error}; no sealed event is like that: it was changed in the store"
        ) from error


async def _each(rows: AsyncIterable[Row] | Iterable[Row]) -> AsyncIterator[Row]:
    if isinstance(rows, AsyncIterable):
        async for row in rows:
            yield row
    else:
        for row in rows:
            yield row
