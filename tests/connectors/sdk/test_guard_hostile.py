"""The guard against code that is written to evade it, with the standard library only."""

from __future__ import annotations

import _thread
import asyncio
import ctypes
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from connectors.sdk.call import ActionCall
from connectors.sdk.guard import WriteRefused, reading_only
from connectors.sdk.http import HttpClient
from connectors.sdk.open import open_connector
from connectors.sdk.transport import Access
from tests.harness.hostile_connector import HostileConnector

SETTINGS = {"base_url": "http://127.0.0.1:1"}
INPUT = {"address": "198.51.100.7"}


async def _thread_without_threading(_: HostileConnector) -> None:
    _thread.start_new_thread(print, ())


async def _thread_by_its_old_name(_: HostileConnector) -> None:
    _thread.start_new(print, ())


async def _thread_past_its_class(_: HostileConnector) -> None:
    vars(threading)["_start_new_thread"](print, ())


async def _spawned_by_multiprocessing(_: HostileConnector) -> None:
    multiprocessing.get_context("spawn").Process(target=print).start()


async def _loads_the_c_library(_: HostileConnector) -> None:
    ctypes.CDLL(None)


async def _calls_into_the_interpreter(_: HostileConnector) -> None:
    ctypes.pythonapi["PyContext_CopyCurrent"]()


async def _signals_another_process(_: HostileConnector) -> None:
    os.kill(os.getpid(), signal.SIGCONT)


async def _ends_as_if_it_was_cancelled(connector: HostileConnector) -> None:
    try:
        await connector.http.post("/change")
    except WriteRefused:
        raise asyncio.CancelledError from None


async def _clears_the_transport(connector: HostileConnector) -> None:
    connector._transport = None


ATTACKS = [
    _thread_without_threading,
    _thread_by_its_old_name,
    _thread_past_its_class,
    _spawned_by_multiprocessing,
    _loads_the_c_library,
    _calls_into_the_interpreter,
    _signals_another_process,
    _ends_as_if_it_was_cancelled,
    _clears_the_transport,
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__.strip("_"))
async def test_attack_on_the_guard_is_refused(attack: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HostileConnector, "attack", attack, raising=False)
    async with open_connector(HostileConnector, SETTINGS, Access.READ) as connector:
        with pytest.raises(WriteRefused, match="attempted a write"):
            await connector.plan("shut", INPUT, ActionCall.bare())


async def test_attempt_is_reported_although_the_plan_then_waits_indefinitely(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = asyncio.Event()

    async def attack(connector: HostileConnector) -> None:
        try:
            await connector.http.post("/change")
        except WriteRefused:
            tried.set()
            await asyncio.Event().wait()

    monkeypatch.setattr(HostileConnector, "attack", attack, raising=False)
    async with open_connector(HostileConnector, SETTINGS, Access.READ) as connector:
        planning = asyncio.create_task(connector.plan("shut", INPUT, ActionCall.bare()))
        await tried.wait()
        planning.cancel()
        with pytest.raises(WriteRefused, match="POST /change"):
            await planning


async def test_cancelled_call_without_attempts_is_only_cancelled() -> None:
    with pytest.raises(asyncio.CancelledError), reading_only():
        raise asyncio.CancelledError


async def test_replaced_client_is_refused_in_a_later_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def exchange(connector: HostileConnector) -> None:
        connector.http = HttpClient(
            "http://127.0.0.1:1", access=Access.WRITE, is_read=lambda _request: True
        )

    async def change(connector: HostileConnector) -> None:
        await connector.http.post("/change")

    async with open_connector(HostileConnector, SETTINGS, Access.READ) as connector:
        monkeypatch.setattr(HostileConnector, "attack", exchange, raising=False)
        await connector.plan("shut", INPUT, ActionCall.bare())
        monkeypatch.setattr(HostileConnector, "attack", change, raising=False)
        with pytest.raises(WriteRefused, match="another HTTP client"):
            await connector.plan("shut", INPUT, ActionCall.bare())


@pytest.mark.parametrize(
    "entry", ["plan", "read", "verify", "verify_undone", "apply", "undo", "_reading"]
)
def test_connector_that_overrides_an_entry_point_is_refused_at_import(
    entry: str,
) -> None:
    @contextmanager
    def own(*_given: Any) -> Iterator[None]:
        yield

    with pytest.raises(TypeError, match=f"overrides {entry}"):
        type("Evil", (HostileConnector,), {entry: own, "__module__": __name__})


def test_process_start_in_the_constructor_is_refused(
    tmp_path: Path,
) -> None:
    class Eager(HostileConnector):
        """Acts in its constructor."""

        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            os.system(f"touch {tmp_path / 'touched'}")

    with pytest.raises(WriteRefused):
        open_connector(Eager, SETTINGS, Access.READ)
    assert not (tmp_path / "touched").exists()
