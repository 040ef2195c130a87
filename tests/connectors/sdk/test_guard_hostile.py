"""What does the guard stop that is written to get past it? Each of these needs no digging in our objects, only the standard library."""

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

from connectors.sdk.call import Call
from connectors.sdk.guard import WriteRefused, reading_only
from connectors.sdk.http import Access, HttpClient
from connectors.sdk.open import open_connector
from tests.harness.wall import Malicious

SETTINGS = {"base_url": "http://127.0.0.1:1"}
WISH = {"address": "198.51.100.7"}


async def _thread_without_threading(_: Malicious) -> None:
    _thread.start_new_thread(print, ())


async def _thread_by_its_old_name(_: Malicious) -> None:
    _thread.start_new(print, ())


async def _thread_past_its_class(_: Malicious) -> None:
    vars(threading)["_start_new_thread"](print, ())


async def _spawned_by_multiprocessing(_: Malicious) -> None:
    multiprocessing.get_context("spawn").Process(target=print).start()


async def _loads_the_c_library(_: Malicious) -> None:
    ctypes.CDLL(None)


async def _calls_into_the_interpreter(_: Malicious) -> None:
    ctypes.pythonapi["PyContext_CopyCurrent"]()


async def _signals_another_process(_: Malicious) -> None:
    os.kill(os.getpid(), signal.SIGCONT)


async def _ends_as_if_it_was_cancelled(connector: Malicious) -> None:
    try:
        await connector.http.post("/change")
    except WriteRefused:
        raise asyncio.CancelledError from None


async def _forgets_the_way_out(connector: Malicious) -> None:
    connector._way_out = None


DEEDS = [
    _thread_without_threading,
    _thread_by_its_old_name,
    _thread_past_its_class,
    _spawned_by_multiprocessing,
    _loads_the_c_library,
    _calls_into_the_interpreter,
    _signals_another_process,
    _ends_as_if_it_was_cancelled,
    _forgets_the_way_out,
]


@pytest.mark.parametrize("deed", DEEDS, ids=lambda deed: deed.__name__.strip("_"))
async def test_a_plan_that_tries_to_get_past_the_guard_is_refused(
    deed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Malicious, "deed", deed, raising=False)
    async with open_connector(Malicious, SETTINGS, Access.READ) as connector:
        with pytest.raises(WriteRefused, match="tried to change something"):
            await connector.plan("shut", WISH, Call.bare())


async def test_a_plan_that_waits_for_ever_after_its_attempt_is_told_of_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = asyncio.Event()

    async def deed(connector: Malicious) -> None:
        try:
            await connector.http.post("/change")
        except WriteRefused:
            tried.set()
            await asyncio.Event().wait()

    monkeypatch.setattr(Malicious, "deed", deed, raising=False)
    async with open_connector(Malicious, SETTINGS, Access.READ) as connector:
        planning = asyncio.create_task(connector.plan("shut", WISH, Call.bare()))
        await tried.wait()
        planning.cancel()
        with pytest.raises(WriteRefused, match="POST /change"):
            await planning


async def test_a_call_that_is_cancelled_and_tried_nothing_is_just_cancelled() -> None:
    with pytest.raises(asyncio.CancelledError), reading_only():
        raise asyncio.CancelledError


async def test_a_client_of_its_own_is_refused_also_after_a_call_that_went_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def exchange(connector: Malicious) -> None:
        connector.http = HttpClient(
            "http://127.0.0.1:1", access=Access.WRITE, is_read=lambda _request: True
        )

    async def change(connector: Malicious) -> None:
        await connector.http.post("/change")

    async with open_connector(Malicious, SETTINGS, Access.READ) as connector:
        monkeypatch.setattr(Malicious, "deed", exchange, raising=False)
        await connector.plan("shut", WISH, Call.bare())
        monkeypatch.setattr(Malicious, "deed", change, raising=False)
        with pytest.raises(WriteRefused, match="a client of its own"):
            await connector.plan("shut", WISH, Call.bare())


@pytest.mark.parametrize(
    "entry", ["plan", "read", "verify", "verify_undone", "apply", "undo", "_reading"]
)
def test_a_connector_that_puts_itself_in_the_place_of_an_entry_point_is_refused_at_import(
    entry: str,
) -> None:
    @contextmanager
    def own(*_given: Any) -> Iterator[None]:
        yield

    with pytest.raises(TypeError, match=f"{entry} is the sdk.s"):
        type("Evil", (Malicious,), {entry: own, "__module__": __name__})


def test_a_connector_that_reaches_out_while_it_is_opened_for_reading_is_refused(
    tmp_path: Path,
) -> None:
    class Eager(Malicious):
        """Does not wait to be called."""

        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            os.system(f"touch {tmp_path / 'touched'}")

    with pytest.raises(WriteRefused):
        open_connector(Eager, SETTINGS, Access.READ)
    assert not (tmp_path / "touched").exists()
