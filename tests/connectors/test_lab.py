"""The lab: its endpoints, faults over real sockets, and the state file."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.lab import EMULATORS, lab_app, lab_settings
from connectors.palo_alto.connector import PaloAlto
from connectors.palo_alto.emulator import PaloAltoEmulator
from connectors.registry import CONNECTORS, connector
from connectors.sdk.call import ActionCall
from connectors.sdk.emulator import EmulatorTransport
from connectors.sdk.open import open_connector
from connectors.sdk.transport import Access
from orchestrator.domain.errors import Unavailable, Unknown

Serve = Callable[[Any], AbstractAsyncContextManager[str]]

ADDRESS, BLOCK = {"address": "198.51.100.7"}, "block_address"


def local(app: Any) -> httpx.AsyncClient:
    """Return a client of the lab inside this process."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://lab")


def firewall(lab: str, **settings: Any) -> PaloAlto:
    """Open the connector to the lab's firewall."""
    return open_connector(PaloAlto, {**lab_settings(lab)["palo_alto"], **settings}, Access.WRITE)


async def fault(lab: str, **fields: Any) -> None:
    """Inject a fault, as an external script does."""
    async with httpx.AsyncClient(trust_env=False) as client:
        reply = await client.post(f"{lab}/_lab/faults", json={"emulator": "palo_alto", **fields})
    assert reply.status_code == 201


@pytest.mark.parametrize("cls", EMULATORS, ids=lambda cls: cls.name)
async def test_lab_settings_open_the_connector_of_each_emulator(cls: Any, serve: Serve) -> None:
    async with serve(lab_app()) as lab:
        for access in Access:
            async with open_connector(
                connector(cls.name), lab_settings(lab)[cls.name], access
            ) as opened:
                assert await opened.check()


async def test_state_shows_what_is_in_force_and_the_effects(
    serve: Serve,
) -> None:
    async with serve(lab_app()) as lab:
        async with firewall(lab) as connector:
            call = ActionCall.bare("step-1")
            await connector.apply(BLOCK, await connector.plan(BLOCK, ADDRESS, call), call)
        async with httpx.AsyncClient(trust_env=False) as client:
            state = (await client.get(f"{lab}/_lab/state")).json()["palo_alto"]
    assert state["in_force"]["addresses"] == ["198.51.100.7"]
    assert state["effects"] == [
        {"action": "register", "target": "198.51.100.7", "key": call.tag, "count": 1}
    ]


@pytest.mark.parametrize("kind", ["lost_reply", "half_closed"])
async def test_lost_or_truncated_reply_over_a_socket_requires_a_look(
    kind: str, serve: Serve
) -> None:
    async with serve(lab_app()) as lab, firewall(lab) as connector:
        planned_change = await connector.plan(BLOCK, ADDRESS, ActionCall.bare())
        await fault(lab, kind=kind)
        with pytest.raises(Unknown):
            await connector.apply(BLOCK, planned_change, ActionCall.bare())
        assert (await connector.plan(BLOCK, ADDRESS, ActionCall.bare()))["changed"] is False


async def test_slow_system_over_a_socket_times_out(serve: Serve) -> None:
    async with serve(lab_app()) as lab:
        async with firewall(lab) as patient:
            planned_change = await patient.plan(BLOCK, ADDRESS, ActionCall.bare())
        await fault(lab, kind="latency", seconds=2.0, times=2)
        async with firewall(lab, timeout_seconds=0.5) as impatient:
            with pytest.raises(Unavailable):
                await impatient.plan(BLOCK, ADDRESS, ActionCall.bare())
            with pytest.raises(Unknown):
                await impatient.apply(BLOCK, planned_change, ActionCall.bare())


async def test_absent_system_is_unavailable(serve: Serve) -> None:
    async with serve(lab_app()) as lab:
        pass
    async with firewall(lab) as connector:
        with pytest.raises(Unavailable, match="cannot connect"):
            await connector.plan(BLOCK, ADDRESS, ActionCall.bare())


async def test_fault_affects_the_matching_requests_for_its_count() -> None:
    async with local(lab_app()) as client:
        await client.post(
            "/_lab/faults",
            json={
                "emulator": "palo_alto",
                "kind": "status",
                "status": 500,
                "times": 2,
                "match": "jobs",
            },
        )
        statuses = [
            (await client.get("/palo_alto/api/", params={"cmd": cmd})).status_code
            for cmd in ("jobs", "system", "jobs", "jobs")
        ]
    assert statuses == [500, 403, 500, 403]


async def test_faults_are_cleared_and_state_is_reset() -> None:
    app = lab_app()
    async with local(app) as client:
        app.state.emulators["palo_alto"].tags["198.51.100.7"] = ["tocsin-blocked"]
        await client.post(
            "/_lab/faults", json={"emulator": "palo_alto", "kind": "garbage", "times": 9}
        )
        assert (await client.delete("/_lab/faults")).status_code == 204
        assert (await client.get("/palo_alto/api/")).status_code == 403
        assert (await client.post("/_lab/reset")).status_code == 204
        assert (await client.get("/_lab/state")).json()["palo_alto"]["in_force"]["addresses"] == []


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"emulator": "unknown", "kind": "silent"}, 404),
        ({"emulator": "palo_alto", "kind": "fire"}, 422),
        ({"emulator": "palo_alto", "kind": "silent", "tims": 3}, 422),
    ],
)
async def test_invalid_fault_is_refused(fields: dict[str, Any], status: int) -> None:
    async with local(lab_app()) as client:
        assert (await client.post("/_lab/faults", json=fields)).status_code == status
        assert (await client.post("/_lab/faults", content=b"\xff{")).status_code == 422


async def test_state_file_survives_the_lab(tmp_path: Path) -> None:
    file = tmp_path / "lab.json"
    first = lab_app(state_file=file)
    given, inside = (
        PaloAltoEmulator.settings("http://127.0.0.1:1"),
        EmulatorTransport(first.state.emulators["palo_alto"]),
    )
    async with open_connector(PaloAlto, given, Access.WRITE, inside) as opened:
        await opened.apply(
            BLOCK, await opened.plan(BLOCK, ADDRESS, ActionCall.bare()), ActionCall.bare()
        )
    second = lab_app(state_file=file)
    for name, emulator in first.state.emulators.items():
        assert second.state.emulators[name].state() == emulator.state()
    assert second.state.emulators["palo_alto"].in_force()["addresses"] == ["198.51.100.7"]


@pytest.mark.parametrize("cls", EMULATORS, ids=lambda cls: cls.name)
def test_snapshot_survives_a_round_trip_through_json(cls: Any) -> None:
    one, other = cls(), cls()
    other.restore(json.loads(json.dumps(one.snapshot())))
    assert other.snapshot() == one.snapshot()


def test_snapshot_shares_no_object_with_the_emulator() -> None:
    emulator = PaloAltoEmulator()
    before = emulator.snapshot()
    emulator.tags["198.51.100.7"] = ["tocsin-blocked"]
    assert before["world"]["tags"] == {}


def test_every_http_connector_has_an_emulator() -> None:
    assert {cls.name for cls in EMULATORS} | {"nftables"} == {cls.name for cls in CONNECTORS}
