"""Which ports does a stack on this machine listen on? Kept in the data directory, so that a restart finds its own again."""

from __future__ import annotations

import errno
import json
import os
import socket
from pathlib import Path

from pydantic import ValidationError

from orchestrator.domain.errors import Invalid, NotFound
from orchestrator.domain.model import Frozen

FILE = "up.json"
LISTENER = "TOCSIN_LISTENER"
"""Names the file descriptor of the socket to serve, in a child's environment."""

_BACKLOG = 2048  # connections that wait while a child is started again


class Listening(Frozen):
    """Where a stack listens; all on `host`. `pid`: its supervisor."""

    pid: int
    host: str
    api: int
    temporal: int | None = None
    lab: int | None = None

    @property
    def api_url(self) -> str:
        """The API's address."""
        return f"http://{_bracketed(self.host)}:{self.api}"

    @property
    def lab_url(self) -> str | None:
        """The lab's address: always the loopback, for it has no login."""
        return f"http://127.0.0.1:{self.lab}" if self.lab else None

    @property
    def temporal_address(self) -> str | None:
        """Temporal's address."""
        return f"127.0.0.1:{self.temporal}" if self.temporal else None


def remembered(data_dir: Path) -> Listening | None:
    """Where the last stack on this data directory listened, or listens."""
    try:
        return Listening.model_validate_json((data_dir / FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def running(data_dir: Path) -> Listening:
    """As `remembered`. Raises NotFound with the mend where nothing was started on this data directory."""
    listening = remembered(data_dir)
    if listening is None:
        message = f"{data_dir}: no stack was started here; start one with `tocsin up --data-dir {data_dir}`, or give --url"
        raise NotFound(message)
    return listening


def remember(data_dir: Path, listening: Listening) -> None:
    """Writes it down, in whole or not at all."""
    fresh = data_dir / f".{FILE}.new"
    fresh.write_text(json.dumps(listening.model_dump()) + "\n", "utf-8")
    fresh.replace(data_dir / FILE)


def listen(host: str, port: int, option: str) -> socket.socket:
    """A socket that listens there. Raises Invalid that names the option to change, where another program does already."""
    try:
        listener = _socket(host)
        listener.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # what lately ended is no obstacle
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        why = "another program listens there" if error.errno == errno.EADDRINUSE else error.strerror
        message = f"{option} {port}: {host}:{port} cannot be had ({why}); end that program, or choose another port with {option}"
        raise Invalid(message) from error
    return listener


def inherited() -> socket.socket | None:
    """In a child of the supervisor: the socket that it listens on for us, so that nobody is refused while we are started again."""
    descriptor = os.environ.pop(LISTENER, None)
    return socket.socket(fileno=int(descriptor)) if descriptor else None


def choose(host: str, *wishes: int | None) -> int:
    """The first wish that is free, or any free port."""
    for wish in wishes:
        if wish is not None and wish < 65_536 and _free(host, wish):
            return wish
    with _socket(host) as any_free:
        any_free.bind((host, 0))
        return int(any_free.getsockname()[1])


def _free(host: str, port: int) -> bool:
    with _socket(host) as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # what lately ended is no obstacle
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _socket(host: str) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)


def _bracketed(host: str) -> str:
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  read, not bound
    return f"[{reachable}]" if ":" in reachable else reachable


def alive(pid: int) -> bool:
    """Whether a process of that id exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
