"""The write guard: a plan changes nothing, whatever code the connector runs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from connectors.sdk.call import ActionCall
from connectors.sdk.guard import WriteRefused, reading_only, trusted_io
from connectors.sdk.http import HttpClient
from connectors.sdk.open import open_connector
from connectors.sdk.process import run_tool
from connectors.sdk.transport import Access
from tests.harness.hostile_connector import HostileConnector


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Yield a listening socket, which shows whether anything connects."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


PORT = 0
IDLE = ThreadPoolExecutor(1)
IDLE.submit(time.monotonic).result()  # so that its thread is there


def _connect() -> None:
    with socket.socket() as own:
        own.connect(("127.0.0.1", PORT))


async def _raw_socket(_: HostileConnector) -> None:
    _connect()


async def _connect_ex(_: HostileConnector) -> None:
    with socket.socket() as own:
        own.connect_ex(("127.0.0.1", PORT))


async def _datagram(_: HostileConnector) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as own:
        own.sendto(b"x", ("127.0.0.1", PORT))


async def _asyncio_connection(_: HostileConnector) -> None:
    await asyncio.open_connection("127.0.0.1", PORT)


async def _second_httpx_client(_: HostileConnector) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        await client.post(f"http://127.0.0.1:{PORT}/")


async def _in_a_task(_: HostileConnector) -> None:
    await asyncio.create_task(_raw_socket(_))


async def _in_a_task_group(_: HostileConnector) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_raw_socket(_))


async def _to_thread(_: HostileConnector) -> None:
    await asyncio.to_thread(_connect)


async def _own_thread(_: HostileConnector) -> None:
    thread = threading.Thread(target=_connect)
    thread.start()
    thread.join()


async def _subprocess(_: HostileConnector) -> None:
    subprocess.run(["/bin/true"], check=True)  # noqa: ASYNC221


async def _os_system(_: HostileConnector) -> None:
    os.system("true")  # noqa: ASYNC221


async def _async_subprocess(_: HostileConnector) -> None:
    await asyncio.create_subprocess_exec("/bin/true")


async def _tool(connector: HostileConnector) -> None:
    await run_tool(["/bin/true"], writes=True, access=connector.access)


async def _own_http_write(connector: HostileConnector) -> None:
    await connector.http.post("/change")


async def _second_client_that_calls_all_a_read(_: HostileConnector) -> None:
    own = HttpClient(f"http://127.0.0.1:{PORT}", access=Access.WRITE, is_read=lambda _request: True)
    await own.post("/change")


async def _second_connector_for_writing(connector: HostileConnector) -> None:
    async with open_connector(
        HostileConnector, {"base_url": f"http://127.0.0.1:{PORT}"}, Access.WRITE
    ) as other:
        await other.http.post("/change")


async def _reads_through_a_second_client(_: HostileConnector) -> None:
    await HttpClient(
        f"http://127.0.0.1:{PORT}", access=Access.READ, is_read=lambda _request: True
    ).get("/change?now=1")


async def _calls_itself_a_writer(connector: HostileConnector) -> None:
    connector.http.access = Access.WRITE
    await connector.http.post("/change")


async def _alters_the_transport(connector: HostileConnector) -> None:
    vars(connector.http)["_client"]._transport._is_read = lambda _request: True
    await connector.http.post("/change")


async def _exchanges_the_transport(connector: HostileConnector) -> None:
    client = vars(connector.http)["_client"]
    client._transport = httpx.AsyncHTTPTransport()
    await connector.http.post("/change")


async def _goes_past_the_transport(connector: HostileConnector) -> None:
    pool = connector.http.transport._pool("127.0.0.1")
    await pool.handle_async_request(httpx.Request("POST", f"http://127.0.0.1:{PORT}/change"))


async def _sync_httpx(_: HostileConnector) -> None:
    httpx.post(f"http://127.0.0.1:{PORT}/", trust_env=False)  # noqa: ASYNC210


async def _urllib(_: HostileConnector) -> None:
    urllib.request.urlopen(f"http://127.0.0.1:{PORT}/", data=b"x")  # noqa: ASYNC210


async def _in_a_thread_that_was_there(_: HostileConnector) -> None:
    await asyncio.get_running_loop().run_in_executor(IDLE, _connect)


async def _other_host(connector: HostileConnector) -> None:
    await connector.http.get(f"http://127.0.0.2:{PORT}/")


ATTACKS = [
    _raw_socket,
    _connect_ex,
    _datagram,
    _asyncio_connection,
    _second_httpx_client,
    _in_a_task,
    _in_a_task_group,
    _to_thread,
    _own_thread,
    _subprocess,
    _os_system,
    _async_subprocess,
    _tool,
    _own_http_write,
    _second_client_that_calls_all_a_read,
    _second_connector_for_writing,
    _reads_through_a_second_client,
    _calls_itself_a_writer,
    _alters_the_transport,
    _exchanges_the_transport,
    _goes_past_the_transport,
    _sync_httpx,
    _urllib,
    _in_a_thread_that_was_there,
]


LEAKS = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""Libraries that do not expect `connect` to fail leave the socket to the garbage collector."""


def _secretly(attack: Any) -> Any:
    """Return the attack with its refusal swallowed."""

    async def hidden(connector: HostileConnector) -> None:
        with contextlib.suppress(BaseException):
            await attack(connector)

    return hidden


@LEAKS
@pytest.mark.parametrize("access", list(Access))
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__.strip("_"))
async def test_plan_that_connects_or_starts_something_is_refused(
    attack: Any, access: Access, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HostileConnector, "attack", attack, raising=False)
    monkeypatch.setitem(globals(), "PORT", listener.getsockname()[1])
    async with open_connector(
        HostileConnector, {"base_url": f"http://127.0.0.1:{PORT}"}, access
    ) as connector:
        with pytest.raises(WriteRefused):
            await connector.plan("shut", {"address": "198.51.100.7"}, ActionCall.bare())
    with pytest.raises(BlockingIOError):
        listener.accept()


@LEAKS
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__.strip("_"))
async def test_plan_that_swallows_the_refusal_still_fails(
    attack: Any, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HostileConnector, "attack", _secretly(attack), raising=False)
    monkeypatch.setitem(globals(), "PORT", listener.getsockname()[1])
    async with open_connector(
        HostileConnector, {"base_url": f"http://127.0.0.1:{PORT}"}, Access.READ
    ) as connector:
        with pytest.raises(WriteRefused, match="attempted a write"):
            await connector.plan("shut", {"address": "198.51.100.7"}, ActionCall.bare())
    with pytest.raises(BlockingIOError):
        listener.accept()


async def test_attempts_of_one_call_do_not_affect_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with open_connector(
        HostileConnector, {"base_url": "http://127.0.0.1:1"}, Access.READ
    ) as connector:
        monkeypatch.setattr(HostileConnector, "attack", _subprocess, raising=False)
        with pytest.raises(WriteRefused):
            await connector.plan("shut", {"address": "198.51.100.7"}, ActionCall.bare())
        monkeypatch.setattr(HostileConnector, "attack", _nothing, raising=False)
        assert (await connector.plan("shut", {"address": "198.51.100.7"}, ActionCall.bare()))[
            "changed"
        ]


async def _nothing(_: HostileConnector) -> None:
    return


async def test_other_host_is_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HostileConnector, "attack", _other_host, raising=False)
    async with open_connector(
        HostileConnector, {"base_url": "http://127.0.0.1:1"}, Access.READ
    ) as connector:
        with pytest.raises(Exception, match="outside this connection"):
            await connector.plan("shut", {"address": "198.51.100.7"}, ActionCall.bare())


def test_nothing_is_refused_outside_a_plan(listener: socket.socket) -> None:
    with reading_only():
        pass
    socket.create_connection(listener.getsockname()).close()


def test_trusted_transport_connects_during_a_plan(listener: socket.socket) -> None:
    with reading_only(), trusted_io():
        socket.create_connection(listener.getsockname()).close()


async def test_plan_of_another_task_does_not_restrict_this_one(listener: socket.socket) -> None:
    begun, done = asyncio.Event(), asyncio.Event()

    async def plan() -> None:
        with reading_only():
            begun.set()
            await done.wait()

    task = asyncio.create_task(plan())
    await begun.wait()
    socket.create_connection(listener.getsockname()).close()
    done.set()
    await task
