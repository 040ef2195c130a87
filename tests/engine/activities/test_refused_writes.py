"""Write attempts of a connector that is only read, outside of steps: refused and audited."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from connectors.palo_alto.connector import PaloAlto
from orchestrator.connections.manage import check_connection
from orchestrator.containments.orphans import list_orphans
from orchestrator.containments.resolve import resolve_containment
from orchestrator.contracts.change import UndoRequest, VerifyRequest
from orchestrator.domain.containment import LeaseEndReason, LeaseState
from orchestrator.domain.errors import TocsinError
from orchestrator.engine.activities.check_drift import DriftCheck
from orchestrator.store.tables import AuditEventRow, ContainmentRow, LeaseRow
from tests.harness.activity_rig import ActivityRig, UndoChange, VerifyChange, rig
from tests.harness.request_worker import request_worker

HELD = "run_1"


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ActivityRig]:
    async with rig(tmp_path) as made:
        yield made


async def held(bench: ActivityRig) -> str:
    """Block and verify an address; return the containment's key."""
    call = bench.block()
    planned = await bench.contained(call)
    await ActivityEnvironment().run(
        VerifyChange(bench.rt).verify, VerifyRequest(call=call, change=planned.change, output={})
    )
    return planned.change.containment_key


async def _drift(bench: ActivityRig, key: str) -> None:
    bench.pass_time(timedelta(hours=1))
    await ActivityEnvironment().run(DriftCheck(bench.rt).check_drift, key)


async def _release(bench: ActivityRig, _: str) -> None:
    request = UndoRequest(
        run_id=HELD,
        path="block",
        cause=LeaseEndReason.ROLLED_BACK,
        reason="rolled back",
        actor=f"run:{HELD}",
    )
    with suppress(ApplicationError):
        await ActivityEnvironment().run(UndoChange(bench.rt).undo, request)


async def _settle(bench: ActivityRig, key: str) -> None:
    async with bench.rt.store.write() as session:
        row = await session.get(ContainmentRow, key)
        assert row is not None
        row.mark_stuck("refused")
        for lease in (await session.execute(select(LeaseRow))).scalars():
            lease.state = LeaseState.ENDED
    with suppress(TocsinError):
        await resolve_containment(
            bench.rt, request_worker(bench.rt), key, comment="undone by hand", actor="person:ann"
        )


async def _orphans(bench: ActivityRig, _: str) -> None:
    (found,) = (await list_orphans(bench.rt, request_worker(bench.rt), connection="firewall")).items
    assert not found.listed


async def _check(bench: ActivityRig, _: str) -> None:
    with suppress(TocsinError):
        await check_connection(bench.rt, request_worker(bench.rt), "firewall")


@pytest.mark.parametrize(
    ("asked", "method", "purpose"),
    [
        (_drift, "plan_block_address", "whether block_address is in force"),
        (_release, "plan_block_address", "whether block_address is gone"),
        (_settle, "plan_block_address", "whether block_address is gone"),
        (_orphans, "list_tagged", "which objects are tagged"),
        (_check, "check", "check of a saved connection"),
    ],
)
async def test_write_attempt_outside_a_step_is_audited(
    bench: ActivityRig,
    monkeypatch: pytest.MonkeyPatch,
    asked: Callable[[ActivityRig, str], Awaitable[None]],
    method: str,
    purpose: str,
) -> None:
    key = await held(bench)
    name = _method(method)
    real = getattr(PaloAlto, name)

    async def malicious(connector: PaloAlto, *given: Any, **named: Any) -> Any:
        with suppress(BaseException):
            await connector.http.post("/api/", data={"type": "user-id", "cmd": "x"})
        return await real(connector, *given, **named)

    monkeypatch.setattr(PaloAlto, name, malicious)
    await asked(bench, key)
    found = [
        row
        for row in await bench.rows(AuditEventRow)
        if isinstance(row, AuditEventRow) and row.kind == "connection:call:write_refused"
    ]
    assert found
    assert (found[0].subject, found[0].data["asked"]) == ("firewall", purpose)
    assert "attempted a write" in found[0].data["attempt_refused"]


def _method(name: str) -> str:
    """Return the connector's method for an action."""
    kind, _, action = name.partition("_")
    bound = PaloAlto.bound.get(action)
    return name if bound is None else getattr(bound, kind)
