"""The gateway of the bundled Temporal server: mutual TLS in front of it, a network around it.

Temporal's development server has no TLS and no login, and listens on a TCP port of the loopback,
which every local user reaches. The gateway starts it in a network namespace of its own, where Linux
allows that, and passes on the connections of clients with the certificate of the data directory.

    python -m orchestrator.cli.stack.gateway temporal FOLDER PORT PROGRAM ARGUMENT ...
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import os
import signal
import socket
import ssl
import struct
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from orchestrator.cli.stack import parent_death, ports

BARRIER = "barrier"
"""The file that says what keeps other users from the server itself."""
NAMESPACE = "namespace"

_LOOPBACK = "127.0.0.1"
_INNER_PORT = 7233
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_HANDSHAKE_SECONDS = 5.0


def enter_namespace() -> str | None:
    """Move this process into a network of its own; return why that is not allowed, else None.

    Sockets that are open already stay in the network of the machine. The process has one thread.
    """
    if sys.platform != "linux":
        return "this system has no network namespaces"
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0:
        try:
            Path("/proc/self/setgroups").write_text("deny", "ascii")
            Path("/proc/self/uid_map").write_text(f"{user} {user} 1", "ascii")
            Path("/proc/self/gid_map").write_text(f"{group} {group} 1", "ascii")
        except OSError as error:
            return f"user namespaces are restricted here ({error.strerror})"
    elif libc.unshare(_CLONE_NEWNET) != 0:
        return f"network namespaces are not allowed here ({os.strerror(ctypes.get_errno())})"
    try:
        _raise_loopback()
    except OSError as error:
        return f"the loopback of a network namespace cannot be used ({error.strerror})"
    return None


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh", b"lo", 0).ljust(40, b"\0")
        (flags,) = struct.unpack_from("h", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request), 16)
        request = struct.pack("16sh", b"lo", flags | _IFF_UP).ljust(40, b"\0")
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, request)


def open_to_others(folder: Path) -> str | None:
    """Return why other users of this machine reach the server past the gateway, else None."""
    try:
        reason = (folder / BARRIER).read_text("utf-8")
    except OSError:
        return None  # it never ran
    if reason == NAMESPACE:
        return None
    return (
        f"other users of this machine reach Temporal's own port, as {reason}; allow user "
        "namespaces, give Tocsin a machine or container of its own, or set temporal_address"
    )


class _Side(asyncio.Protocol):
    """One side of a connection that is passed on; what it receives, the other side sends."""

    def __init__(self, open_sides: set[_Side], other: _Side | None = None) -> None:
        self._open_sides = open_sides
        self.other = other
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - of a stream
        self.transport = transport
        self._open_sides.add(self)

    def data_received(self, data: bytes) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, _: Exception | None) -> None:
        self._open_sides.discard(self)
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()


class _Client(_Side):
    """A client that has shown its certificate; its connection to the server follows."""

    def __init__(self, open_sides: set[_Side], port: int) -> None:
        super().__init__(open_sides)
        self._port = port
        self._reaching: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert self.transport is not None  # noqa: S101 - set by the line above
        self.transport.pause_reading()
        self._reaching = asyncio.get_running_loop().create_task(self._reach(self.transport))

    async def _reach(self, transport: asyncio.Transport) -> None:
        try:
            _, self.other = await asyncio.get_running_loop().create_connection(
                lambda: _Side(self._open_sides, self), _LOOPBACK, self._port
            )
        except OSError:  # the server is not up yet: the client tries again
            transport.close()
            return
        if transport.is_closing():
            self.connection_lost(None)
        else:
            transport.resume_reading()


def server_context(folder: Path) -> ssl.SSLContext:
    """Return TLS 1.3 that requires the client certificate of the folder."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    context.load_verify_locations(folder / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["h2"])
    return context


@asynccontextmanager
async def passing_on(listener: socket.socket, folder: Path, port: int) -> AsyncIterator[None]:
    """Pass connections of clients with the certificate on to a port of this network."""
    open_sides: set[_Side] = set()
    server = await asyncio.get_running_loop().create_server(
        lambda: _Client(open_sides, port),
        sock=listener,
        ssl=server_context(folder),
        ssl_handshake_timeout=_HANDSHAKE_SECONDS,
    )
    try:
        yield
    finally:
        server.close()
        for side in list(open_sides):
            if side.transport is not None:
                side.transport.abort()
        while open_sides:  # noqa: ASYNC110 - of one turn of the event loop
            await asyncio.sleep(0)


async def serve(listener: socket.socket, folder: Path, port: int, command: list[str]) -> int:
    """Run the server and pass connections on until it ends; return its exit code."""
    process = await asyncio.create_subprocess_exec(
        *command, "--port", str(port), preexec_fn=parent_death.die_with_parent
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _end, process)
    async with passing_on(listener, folder, port):
        return await process.wait()


def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()


def main(arguments: list[str]) -> int:
    """Run the gateway with the arguments of the command line."""
    _, folder, port, *command = arguments
    listener = ports.inherited_socket() or ports.listen(_LOOPBACK, int(port), "--port")
    reason = enter_namespace()
    inner = _INNER_PORT if reason is None else ports.choose(_LOOPBACK)
    Path(folder, BARRIER).write_text(reason or NAMESPACE, "utf-8")
    lifeline = os.environ.get(parent_death.VARIABLE)
    if sys.platform != "linux" and lifeline:
        command = [sys.executable, "-P", "-m", "orchestrator.cli.stack.parent_death", *command]
        os.set_inheritable(int(lifeline), True)  # noqa: FBT003 - the signature is os's
    else:
        parent_death.watch()
    return asyncio.run(serve(listener, Path(folder), inner, command))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
