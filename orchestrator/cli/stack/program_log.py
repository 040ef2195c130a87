"""The log of a program: its output line by line, without control codes, rotated by size."""

from __future__ import annotations

import asyncio
import logging
import os
import re
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path

_CONTROL_CODE = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]")
_LONGEST_LINE = 64 * 1024
_DRAIN_SECONDS = 1.0


class ProgramLog:
    """A file that gets what a program writes; `keep` older files stay next to it."""

    def __init__(self, path: Path, max_bytes: int, keep: int) -> None:
        self.path = path
        self._file = RotatingFileHandler(
            path,
            maxBytes=max_bytes,
            backupCount=keep,
            encoding="utf-8",
            errors="backslashreplace",
            delay=True,  # a program that is never started has no log
        )
        self._rest = b""

    async def record(self, output: int) -> None:
        """Write what comes out of the pipe, until it ends or this is cancelled; then close it."""
        self.path.touch()  # a program that runs has a log, also before its first line
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(output, "rb")
        )
        try:
            while piece := await reader.read(_LONGEST_LINE):
                self.write(piece)
        finally:
            transport.close()
            self.end_line()

    def write(self, output: bytes) -> None:
        """Write all complete lines, and keep the rest for the next call."""
        *lines, self._rest = (self._rest + output).split(b"\n")
        for line in lines:
            self._write_line(line)
        if len(self._rest) >= _LONGEST_LINE:
            self.end_line()

    def end_line(self) -> None:
        """Write what is left of an incomplete line."""
        if self._rest:
            self._write_line(self._rest)
        self._rest = b""

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def last_line(self) -> str:
        """Return the last line, or an empty text."""
        with suppress(FileNotFoundError):
            lines = self.path.read_bytes()[-2000:].decode("utf-8", "replace").strip().splitlines()
            return lines[-1] if lines else ""
        return ""

    def _write_line(self, line: bytes) -> None:
        text = _CONTROL_CODE.sub(b"", line).rstrip(b"\r").decode("utf-8", "backslashreplace")
        self._file.handle(logging.makeLogRecord({"msg": text}))


async def finish(recording: asyncio.Task[None]) -> None:
    """Let a log take what its ended program has written, but do not wait for its descendants."""
    with suppress(TimeoutError):
        await asyncio.wait_for(recording, _DRAIN_SECONDS)
