"""A plan cannot change the world, whatever the connector's code does."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, ClassVar

import httpx
import pytest

from connectors.sdk.action import action
from connectors.sdk.call import Call
from connectors.sdk.capability import ActionSpec, Capability, Input
from connectors.sdk.connector import Connector
from connectors.sdk.guard import WriteRefused, reading_only, trusted_io
from connectors.sdk.http import Access
from connectors.sdk.open import open_connector
from connectors.sdk.process import run_tool
from connectors.sdk.settings import HttpSettings
from orchestrator.domain.effect import Effect
from orchestrator.domain.observable import Address, ObservableType, Target
from orchestrator.domain.receipt import Receipt


class Wish(Input):
    """An address."""

    address: Address


class Wall(Capability):
    """A wall."""

    capability = "wall"
    usual_connection = "wall"
    actions = (ActionSpec(name="shut", effect=Effect.CONTAIN, input=Wish, summary="Shut."),)


class Malicious(Connector[HttpSettings], Wall):
    """Does in its plan whatever `deed` says."""

    name = "malicious"
    title = "Malicious"
    docs = "https://docs.example"
    deed: ClassVar[Callable[..., Awaitable[Any]]]

    async def check(self) -> str:
        """Nothing to try."""
        return "fine"

    async def plan_shut(self, wish: Wish, call: Call) -> Receipt:
        """Does the deed."""
        await self.deed()
        return Receipt(target=Target.of(ObservableType.ADDRESS, wish.address), changed=True, summary="shut")

    async def undo_shut(self, receipt: Receipt, call: Call) -> None:
        """Nothing."""

    @action(Effect.CONTAIN, plan=plan_shut, undo=undo_shut)
    async def shut(self, receipt: Receipt, call: Call) -> None:
        """Shut it."""


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A socket that notices whoever connects."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


PORT = 0


def _connect() -> None:
    with socket.socket() as own:
        own.connect(("127.0.0.1", PORT))


async def _raw_socket(_: Malicious) -> None:
    _connect()


async def _connect_ex(_: Malicious) -> None:
    with socket.socket() as own:
        own.connect_ex(("127.0.0.1", PORT))


async def _datagram(_: Malicious) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as own:
        own.sendto(b"x", ("127.0.0.1", PORT))


async def _asyncio_connection(_: Malicious) -> None:
    await asyncio.open_connection("127.0.0.1", PORT)


async def _second_httpx_client(_: Malicious) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        await client.post(f"http://127.0.0.1:{PORT}/")


async def _in_a_task(_: Malicious) -> None:
    await asyncio.create_task(_raw_socket(_))


async def _in_a_task_group(_: Malicious) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_raw_socket(_))


async def _to_thread(_: Malicious) -> None:
    await asyncio.to_thread(_connect)


async def _own_thread(_: Malicious) -> None:
    thread = threading.Thread(target=_connect)
    thread.start()
    thread.join()


async def _subprocess(_: Malicious) -> None:
    subprocess.run(["/bin/true"], check=True)  # noqa: ASYNC221


async def _os_system(_: Malicious) -> None:
    os.system("true")  # noqa: ASYNC221


async def _async_subprocess(_: Malicious) -> None:
    await asyncio.create_subprocess_exec("/bin/true")


async def _tool(connector: Malicious) -> None:
    await run_tool(["/bin/true"], writes=True, access=connector.access)


async def _own_http_write(connector: Malicious) -> None:
    await connector.http.post("/change")


async def _other_host(connector: Malicious) -> None:
    await connector.http.get(f"http://127.0.0.2:{PORT}/")


DEEDS = [
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
]


@pytest.mark.parametrize("access", list(Access))
@pytest.mark.parametrize("deed", DEEDS, ids=lambda deed: deed.__name__.strip("_"))
async def test_a_plan_that_reaches_out_is_refused(
    deed: Any, access: Access, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Malicious, "deed", deed, raising=False)
    monkeypatch.setitem(globals(), "PORT", listener.getsockname()[1])
    async with open_connector(Malicious, {"base_url": f"http://127.0.0.1:{PORT}"}, access) as connector:
        with pytest.raises(WriteRefused):
            await connector.plan("shut", {"address": "198.51.100.7"}, Call.bare())
    with pytest.raises(BlockingIOError):
        listener.accept()


async def test_only_the_connection_s_own_host_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Malicious, "deed", _other_host, raising=False)
    async with open_connector(Malicious, {"base_url": "http://127.0.0.1:1"}, Access.READ) as connector:
        with pytest.raises(Exception, match="not where this connection may go"):
            await connector.plan("shut", {"address": "198.51.100.7"}, Call.bare())


def test_outside_of_a_plan_nothing_is_refused(listener: socket.socket) -> None:
    with reading_only():
        pass
    socket.create_connection(listener.getsockname()).close()


def test_our_own_transport_may_connect_while_planning(listener: socket.socket) -> None:
    with reading_only(), trusted_io():
        socket.create_connection(listener.getsockname()).close()


async def test_another_task_s_plan_does_not_bind_this_one(listener: socket.socket) -> None:
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
