"""The lock of a data directory: held while a stack runs on it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.domain.errors import Conflict

FILE = "tocsin.lock"


@contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Hold the data directory's lock, which the kernel frees however this process ends.

    Raise Conflict where another process has it.
    """
    lock = os.open(data_dir / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(lock, 20, 0).decode("ascii", "replace").strip() or "unknown"
            raise Conflict(
                f"{data_dir}: process {owner} runs a stack on this data directory; end it first, "
                "or choose another with --data-dir"
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(lock)
