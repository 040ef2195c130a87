"""The reconciler restarts the workflow of a containment that needs one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.common import WorkflowIDConflictPolicy

from orchestrator.runs.reconcile import reconcile
from orchestrator.runtime import Runtime, open_runtime
from orchestrator.settings import Settings
from orchestrator.store.migrate import migrate
from orchestrator.store.tables import ContainmentRow, LeaseRow

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Client:
    """A Temporal client that records which workflows are started and which are woken."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.woken: list[str] = []

    async def start_workflow(self, _workflow: str, given: Any, **options: Any) -> None:
        if options.get("start_signal"):
            self.woken.append(given.containment_key)
        else:
            assert options["id_conflict_policy"] is WorkflowIDConflictPolicy.USE_EXISTING
            self.started.append(given.containment_key)


@pytest.fixture
def now() -> list[datetime]:
    return [NOW]


@pytest.fixture
async def rt(tmp_path: Path, now: list[datetime]) -> AsyncIterator[Runtime]:
    runtime = open_runtime(Settings.load(data_dir=tmp_path / "data"), clock=lambda: now[0])
    await migrate(runtime.store)
    yield runtime
    await runtime.close()


async def contain(
    rt: Runtime, state: str, *, lease: str = "live", ended: datetime | None = None, **columns: Any
) -> None:
    given: dict[str, Any] = {
        "connection": "firewall",
        "action": "block",
        "target_type": "address",
        "target_value": "a",
        "ours": True,
    }
    async with rt.store.write() as session:
        session.add(ContainmentRow(key="k", **{**given, "state": state, "since": NOW, **columns}))
        session.add(
            LeaseRow(
                id="run_1/b",
                containment_key="k",
                run_id="run_1",
                path="b",
                state=lease,
                created_at=NOW,
                ended_at=ended,
            )
        )


async def reconciled(rt: Runtime) -> Client:
    client = Client()
    await reconcile(rt, client)  # type: ignore[arg-type]
    return client


async def test_recently_verified_containment_is_left_alone(rt: Runtime) -> None:
    await contain(rt, "held", verified_at=NOW)
    found = await reconciled(rt)
    assert (found.started, found.woken) == ([], [])


async def test_containment_unverified_for_long_is_watched_again_once_a_minute(
    rt: Runtime, now: list[datetime]
) -> None:
    await contain(rt, "held", verified_at=NOW - HOUR)
    assert (await reconciled(rt)).started == ["k"]
    assert (await reconciled(rt)).started == []
    now[0] += timedelta(minutes=1)
    assert (await reconciled(rt)).started == ["k"]


@pytest.mark.parametrize("state", ["held", "lifting"])
async def test_abandoned_containment_is_watched_again(rt: Runtime, state: str) -> None:
    await contain(rt, state, lease="ended", ended=NOW - HOUR, verified_at=NOW)
    assert (await reconciled(rt)).started == ["k"]


async def test_containment_being_released_is_left_alone(rt: Runtime) -> None:
    await contain(rt, "lifting", lease="ended", ended=NOW, verified_at=NOW)
    assert (await reconciled(rt)).started == []


async def test_stuck_containment_is_watched_when_its_retry_is_due(
    rt: Runtime, now: list[datetime]
) -> None:
    await contain(rt, "stuck", lease="ended", ended=NOW - HOUR, retry_at=NOW + HOUR)
    assert (await reconciled(rt)).started == []
    now[0] += HOUR
    assert (await reconciled(rt)).started == ["k"]
    assert (await reconciled(rt)).started == ["k"]  # its moment stays until the retry


async def test_lifted_containment_is_left_alone(rt: Runtime, now: list[datetime]) -> None:
    await contain(rt, "lifted", lease="ended", ended=NOW - HOUR)
    now[0] += timedelta(days=9)
    assert (await reconciled(rt)).started == []
