"""A sink that appends to a file, such as on another mount or on a disk that only grows."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

from pydantic import ValidationError

from orchestrator.audit.anchor import BrokenTrail
from orchestrator.audit.checkpoint import Checkpoint, CheckpointLine
from orchestrator.audit.sinks.sink import SinkDelivery, SinkUnavailable

_TAIL = 8192  # bytes; longer than the last lines of a delivery
_MARK = b'{"checkpoint":'


class FileSink:
    """A file of mode 600. Only appending to it is required."""

    def __init__(self, path: Path) -> None:
        self.name = f"file://{path}"
        self._path = path

    async def send(self, delivery: SinkDelivery) -> None:
        """Append the lines, and return once they are on the disk."""
        try:
            await asyncio.to_thread(self._append, delivery)
        except OSError as error:
            reason = f"{self._path}: cannot be appended to ({error.strerror})"
            raise SinkUnavailable(reason) from error

    def _append(self, delivery: SinkDelivery) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        with os.fdopen(os.open(self._path, flags, 0o600), "r+b", buffering=0) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077:
                raise SinkUnavailable(
                    f"{self._path}: is not a file of mode 600; run: chmod 600 {self._path}"
                )
            tail = os.pread(file.fileno(), _TAIL, max(0, status.st_size - _TAIL))
            last = _last_checkpoint(tail)
            if last is not None and self._has(last, delivery):
                return
            broken = b"\n" if tail and not tail.endswith(b"\n") else b""  # of a write that was cut
            content = memoryview(broken + b"".join(delivery.lines))
            while content:
                content = content[file.write(content) :]
            os.fsync(file.fileno())

    def _has(self, last: Checkpoint, delivery: SinkDelivery) -> bool:
        """Return whether the file has the batch. Raise BrokenTrail where it has another one."""
        new = delivery.checkpoint
        if last.batch < new.batch:
            return False
        if last.batch == new.batch and last.digest == new.digest:
            return len(delivery.lines) > 1  # a checkpoint alone is repeated
        if last.batch > new.batch and self._contains(delivery.lines[-1]):
            return True  # the position of this sink was lost
        if delivery.restored:
            return False  # what follows in the file shows where the trail goes on
        raise BrokenTrail(
            f"{self._path} ends with batch {last.batch} of the audit trail, and now batch "
            f"{new.batch} with the digest {new.digest[:16]} comes: the trail was rewritten or an "
            "old copy was restored; find out which, and only then move that file away"
        )

    def _contains(self, checkpoint: bytes) -> bool:
        with self._path.open("rb") as file:
            return any(line == checkpoint for line in file)


def _last_checkpoint(tail: bytes) -> Checkpoint | None:
    for line in reversed(tail.split(b"\n")):
        if line.startswith(_MARK):
            try:
                return CheckpointLine.model_validate_json(line).checkpoint
            except ValidationError:
                continue
    return None
