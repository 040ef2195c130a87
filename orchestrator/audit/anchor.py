"""The anchor: a file outside the store that remembers the newest batch that was sealed.

It has a checkpoint per line. Lines are appended and synced to disk; the file is shortened to its
newest lines now and then. A line that a crash cut off counts as not written.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from orchestrator.audit.checkpoint import Checkpoint, CheckpointLine, sign_checkpoint
from orchestrator.crypto.private_file import replace_private, sync_folder
from orchestrator.crypto.signing import SigningKey
from orchestrator.domain.audit_batch import Batch
from orchestrator.domain.errors import Conflict, Invalid

KEPT_LINES = 1000
_MAX_BYTES = 2 * 1024 * 1024
_TAIL = 4096  # bytes; longer than two lines


class BrokenTrail(Conflict):
    """The trail in the store is not the one that was sealed."""


class Voucher(Protocol):
    """The keys of the trail, of which more than one may have signed checkpoints."""

    def vouches(self, batch: int, statement: Checkpoint) -> bool:
        """Return whether a key that was not retired before the batch signed the statement."""


class Anchor:
    """The anchor of this machine. Processes that share the data directory take turns.

    `voucher`: the keys that may have signed it; `key` alone by default.
    """

    def __init__(self, path: Path, key: SigningKey, voucher: Voucher | None = None) -> None:
        self._path, self._key, self._voucher = path, key, voucher

    def load(self) -> Checkpoint | None:
        """Return what is remembered, None where there is no file yet.

        Raise BrokenTrail where the file was altered, Invalid where it cannot be read.
        """
        return self.checked(self.read())

    def read(self) -> Checkpoint | None:
        """Return what is remembered, before `checked`. Raise as `load`."""
        try:
            with self._path.open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
                lines = file.read().split(b"\n")[:-1]  # what follows the last newline was cut off
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unusable(error) from error
        return self._parse(lines[-1]) if lines else None

    def checked(self, found: Checkpoint | None) -> Checkpoint | None:
        """Return what was read. Raise BrokenTrail where no key of the trail signed it."""
        if found is not None and not (
            found.signed_by(self._key.public)
            or (self._voucher is not None and self._voucher.vouches(found.batch, found))
        ):
            raise self._altered()
        return found

    def advance(self, batch: Batch) -> None:
        """Remember a batch, unless a later one is remembered. Raise as `load`."""
        try:
            with self._locked():
                known = self.load()
                if known is None or known.batch < batch.number:
                    self._append(sign_checkpoint(self._key, batch).line())
        except OSError as error:
            raise self._unusable(error) from error

    def sign_again(self, batch: Batch) -> None:
        """Remember the newest batch under this key, where a retired one signed. Raise as `load`."""
        try:
            with self._locked():
                known = self.load()
                if known is None or (
                    known.batch <= batch.number and not known.signed_by(self._key.public)
                ):
                    self._append(sign_checkpoint(self._key, batch).line())
        except OSError as error:
            raise self._unusable(error) from error

    def _parse(self, line: bytes) -> Checkpoint:
        try:
            return CheckpointLine.model_validate_json(line).checkpoint
        except ValidationError:
            raise self._altered() from None

    def _altered(self) -> BrokenTrail:
        return BrokenTrail(
            f"{self._path}: its last line is no checkpoint that key {self._key.id} signed; "
            "find out who changed the file, and restore it from your backup"
        )

    def _append(self, line: bytes) -> None:
        is_new = not self._path.exists()
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            end = _complete(file.read())
            file.truncate(end)
            file.seek(end)
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            sync_folder(self._path.parent)
        if end > _MAX_BYTES:
            kept = self._path.read_bytes().splitlines(keepends=True)[-KEPT_LINES:]
            replace_private(self._path, b"".join(kept))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other processes from appending; the file itself is replaced now and then."""
        lock = self._path.with_name(f".{self._path.name}.lock")
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _unusable(self, error: OSError) -> Invalid:
        return Invalid(
            f"{self._path}: cannot be used ({error.strerror}); let the user that runs Tocsin "
            f"write to {self._path.parent}"
        )


def _complete(content: bytes) -> int:
    """Return where the last complete line ends."""
    return content.rfind(b"\n") + 1
