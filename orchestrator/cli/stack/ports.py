"""The ports of a stack on this machine; kept in its data directory for the next start."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from orchestrator.crypto.server_trust import ServerTrust
from orchestrator.domain.errors import Invalid, NotFound
from orchestrator.domain.model import Frozen
from orchestrator.settings import Settings, exposure

if TYPE_CHECKING:
    from orchestrator.crypto.certificates import LoopbackCertificates

FILE = "up.json"
LISTENER = "TOCSIN_LISTENER"
"""Names the file descriptor of the socket to serve, in a child's environment."""

_BACKLOG = 2048  # connections that wait while a child restarts


class Listening(Frozen):
    """Where a stack listens."""

    pid: int
    """The supervisor's process id."""
    host: str
    api: int
    temporal: int | None = None
    lab: int | None = None
    workers: dict[str, int | None] = {}
    """The port of each worker's metrics by the worker's name; None: it serves none."""
    metrics_host: str = "127.0.0.1"
    tls_cert: Path | None = None
    """The certificate that the API is served with; None without TLS."""

    @property
    def api_url(self) -> str:
        """The API's address."""
        scheme = "http" if self.tls_cert is None else "https"
        return f"{scheme}://{_bracketed(self.host)}:{self.api}"

    @property
    def trust(self) -> ServerTrust:
        """What a client on this machine trusts: the certificate in the file."""
        return ServerTrust(own=self.tls_cert)

    @property
    def lab_url(self) -> str | None:
        """The lab's address, always on the loopback interface, as it has no login."""
        return f"http://127.0.0.1:{self.lab}" if self.lab else None

    @property
    def metrics_urls(self) -> dict[str, str]:
        """Where each worker serves its metrics, by the worker's name."""
        host = _bracketed(self.metrics_host)
        return {
            name: f"http://{host}:{port}/metrics"
            for name, port in self.workers.items()
            if port is not None
        }

    @property
    def temporal_address(self) -> str | None:
        """Temporal's address."""
        return f"127.0.0.1:{self.temporal}" if self.temporal else None


def load_listening(data_dir: Path) -> Listening | None:
    """Return where the last stack on this data directory listened, or listens."""
    try:
        return Listening.model_validate_json((data_dir / FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def load_running(data_dir: Path) -> Listening:
    """Return where the stack on this data directory listens. Raise NotFound without one."""
    listening = load_listening(data_dir)
    if listening is None:
        raise NotFound(
            f"{data_dir}: no stack was started here; start one with "
            f"`tocsin up --data-dir {data_dir}`, or give --url"
        )
    return listening


def save_listening(data_dir: Path, listening: Listening) -> None:
    """Replace the file as a whole."""
    fresh = data_dir / f".{FILE}.new"
    fresh.write_text(listening.model_dump_json() + "\n", "utf-8")
    fresh.replace(data_dir / FILE)


def listen_api(settings: Settings) -> socket.socket:
    """Return the listening socket of the API.

    Raise Invalid where the port is taken, the certificate cannot be used, or keys would cross the
    network in the clear.
    """
    from orchestrator.crypto.server_certificate import server_certificate

    if (reason := exposure(settings)) is not None:
        raise Invalid(reason)
    server_certificate(settings.tls_cert, settings.tls_key)
    return listen(settings.host, settings.port, "--port")


def listen(host: str, port: int, option: str) -> socket.socket:
    """Return a listening socket. Raise Invalid that names `option` where the port is taken."""
    try:
        listener = _socket(host)
        # A connection that lingers after its process must not prevent a restart.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        taken = error.errno == errno.EADDRINUSE
        reason = "another program listens there" if taken else error.strerror
        raise Invalid(
            f"{option} {port}: cannot listen on {host}:{port} ({reason}); end that program, or "
            f"choose another port with {option}"
        ) from error
    return listener


def inherited_socket() -> socket.socket | None:
    """Return the socket that the supervisor opened, and keeps open while this process restarts."""
    descriptor = os.environ.pop(LISTENER, None)
    return socket.socket(fileno=int(descriptor)) if descriptor else None


def choose(host: str, *preferred: int | None, taken: Collection[int] = ()) -> int:
    """Return the first preferred port that is free, or any free port, but none of `taken`."""
    for port in preferred:
        if port is not None and port < 65_536 and port not in taken and _is_free(host, port):
            return port
    while True:
        with _socket(host) as any_free:
            any_free.bind((host, 0))
            port = int(any_free.getsockname()[1])
        if port not in taken:
            return port


def is_open(address: str) -> bool:
    """Return whether a program accepts connections at host:port."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=3):
            return True
    except OSError:
        return False


def with_stack_temporal(settings: Settings) -> Settings:
    """Return settings that find the bundled Temporal of the stack on the data directory.

    A `temporal_address` that was set stays.
    """
    listening = load_listening(settings.data_dir)
    if (
        not settings.temporal_bundled
        or "temporal_address" in settings.model_fields_set
        or listening is None
    ):
        return settings
    return reach_temporal(settings, listening)


def reach_temporal(settings: Settings, listening: Listening) -> Settings:
    """Return settings that reach the Temporal of a stack, with the certificates that it wants."""
    if listening.temporal_address is None:
        return settings
    certificates = temporal_certificates(settings.data_dir)
    reached = {
        "temporal_address": listening.temporal_address,
        "temporal_tls_ca_file": certificates.authority,
        "temporal_tls_cert_file": certificates.client,
        "temporal_tls_key_file": certificates.client_key,
        "temporal_tls_server_name": None,
        "temporal_api_key": None,
        "temporal_api_key_file": None,
    }
    return settings.model_copy(update=reached)


def temporal_certificates(data_dir: Path) -> LoopbackCertificates:
    """Return the certificates of the bundled Temporal server and its clients."""
    from orchestrator.crypto.certificates import LoopbackCertificates

    return LoopbackCertificates(data_dir / "temporal-tls")


def is_alive(pid: int) -> bool:
    """Return whether a process of that id exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _is_free(host: str, port: int) -> bool:
    with _socket(host) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
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
