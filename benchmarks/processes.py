"""The processes of a benchmark: started, measured through /proc, ended. Linux only."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Running:
    """One process."""

    name: str
    process: subprocess.Popen[bytes]

    def cpu(self) -> float:
        """Return the CPU seconds of it and its children since their start."""
        return sum(map(_cpu, _family(self.process.pid)))

    def peak(self) -> float:
        """Return the sum of the peak memory of it and its children in MB."""
        return sum(map(_peak, _family(self.process.pid)))


class Processes:
    """The processes of one system; a context that ends them in reverse order."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self.all: list[Running] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for running in reversed(self.all):
            running.process.terminate()
            try:
                running.process.wait(10)
            except subprocess.TimeoutExpired:
                running.process.kill()
                running.process.wait()

    def start(
        self, name: str, command: list[str], environment: dict[str, str] | None = None
    ) -> None:
        """Start a process whose output goes to a file of its name."""
        with (self._logs / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.all.append(Running(name, process))

    def check(self) -> None:
        """Raise RuntimeError with the end of the log if a process has died."""
        for running in self.all:
            if running.process.poll() is not None:
                log = (self._logs / f"{running.name}.log").read_text("utf-8", "replace")[-2000:]
                message = f"{running.name} ended with {running.process.returncode}:\n{log}"
                raise RuntimeError(message)


def wait_for(url: str, processes: Processes, seconds: float = 180) -> None:
    """Wait for status 200. Raise RuntimeError if a process dies, or after `seconds`."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        processes.check()
        try:
            if httpx.get(url, timeout=2).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    message = f"{url} does not answer"
    raise RuntimeError(message)


def size(file: Path) -> int:
    """Return the bytes of a SQLite database, with what is in its write-ahead log."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30)) as database:
        (pages,), (page_size,) = (
            database.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size")
        )
    return int(pages) * int(page_size)


def _family(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    return [pid, *(each for child in listed for each in _family(int(child)))]


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _peak(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024
