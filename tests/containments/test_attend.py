"""Attendance: what is due is begun once and in time, and a slow system delays only itself."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode

from orchestrator.containments.attend import QUEUED, REST, Attendant
from orchestrator.runtime import Runtime, open_runtime
from orchestrator.settings import Settings
from orchestrator.store.migrate import migrate
from orchestrator.store.queries import containments
from orchestrator.store.tables import ContainmentRow, LeaseRow

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Handle:
    def __init__(self, server: Server, id_: str) -> None:
        self._server, self._id = server, id_

    async def result(self) -> bool:
        self._server.open[self._id] += 1
        if any(each in self._id for each in self._server.hanging):
            await asyncio.Event().wait()
        self._server.open[self._id] -= 1
        return self._id not in self._server.stuck


class Server:
    """A Temporal that notes which workflows are started, and that may be away."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.open: Counter[str] = Counter()
        self.hanging: set[str] = set()
        self.stuck: set[str] = set()
        self.is_away = False

    async def start_workflow(self, _workflow: str, key: str, **options: Any) -> Handle:
        if self.is_away:
            raise RPCError("down", RPCStatusCode.UNAVAILABLE, b"")
        assert options["id_conflict_policy"] is WorkflowIDConflictPolicy.USE_EXISTING
        assert options["id"].endswith(key)
        assert (options["execution_timeout"] is not None) == options["id"].startswith("check-")
        self.started.append(options["id"])
        return Handle(self, options["id"])


@pytest.fixture
def now() -> list[datetime]:
    return [NOW]


@pytest.fixture
async def rt(tmp_path: Path, now: list[datetime]) -> AsyncIterator[Runtime]:
    runtime = open_runtime(Settings.load(data_dir=tmp_path / "data"), clock=lambda: now[0])
    await migrate(runtime.store)
    yield runtime
    await runtime.close()


@pytest.fixture
def server() -> Server:  # type: ignore[override]
    return Server()


@pytest.fixture
async def attendant(rt: Runtime, server: Server) -> AsyncIterator[Attendant]:
    made = Attendant(rt, server)  # type: ignore[arg-type]
    yield made
    await made.close()


async def contain(
    rt: Runtime,
    key: str = "k",
    state: str = "held",
    *,
    until: datetime | None = None,
    is_live: bool = True,
    **columns: Any,
) -> None:
    given: dict[str, Any] = {
        "connection": "firewall",
        "action": "block",
        "target_type": "address",
        "target_value": "a",
        "ours": True,
        "since": NOW,
    }
    lease = {"state": "live" if is_live else "ended", "created_at": NOW, "until": until}
    async with rt.store.write() as session:
        session.add(ContainmentRow(key=key, state=state, **given | columns))
        session.add(LeaseRow(id=f"{key}/b", containment_key=key, run_id=key, path="b", **lease))


async def attended(attendant: Attendant) -> None:
    await attendant.look()
    while attendant.busy:
        await asyncio.sleep(0)


async def test_lease_is_released_at_its_end_and_not_before(
    rt: Runtime, now: list[datetime], server: Server, attendant: Attendant
) -> None:
    await contain(rt, until=NOW + HOUR)
    now[0] += HOUR - timedelta(microseconds=1)
    await attended(attendant)
    assert server.started == []
    now[0] = NOW + HOUR
    await attended(attendant)
    assert server.started == ["release-k"]


async def test_two_leases_of_one_containment_are_one_release(
    rt: Runtime, server: Server, attendant: Attendant
) -> None:
    await contain(rt, until=NOW)
    async with rt.store.write() as session:
        session.add(
            LeaseRow(id="o/b", containment_key="k", run_id="o", path="b", until=NOW, created_at=NOW)
        )
    await attended(attendant)
    assert server.started == ["release-k"]


@pytest.mark.parametrize("state", ["held", "lifting", "stuck"])
async def test_release_without_leases_is_begun_when_its_retry_is_due(
    rt: Runtime, now: list[datetime], server: Server, attendant: Attendant, state: str
) -> None:
    await contain(rt, "k", state, is_live=False, retry_at=NOW + HOUR)
    await attended(attendant)
    assert server.started == []
    now[0] += HOUR
    await attended(attendant)
    assert server.started == ["release-k"]


@pytest.mark.parametrize(
    ("state", "is_live"), [("lifted", False), ("held", True)], ids=["lifted", "held again"]
)
async def test_nothing_is_released_that_is_lifted_or_held_again(
    rt: Runtime, server: Server, attendant: Attendant, state: str, is_live: bool
) -> None:
    await contain(rt, "k", state, is_live=is_live, retry_at=NOW)
    await attended(attendant)
    assert server.started == []


async def test_slow_system_delays_no_release_of_another(
    rt: Runtime, server: Server, attendant: Attendant
) -> None:
    server.hanging = {"slow"}
    for number in range(QUEUED + 50):
        await contain(rt, f"slow-{number}", until=NOW - HOUR, connection="edr")
    await contain(rt, "quick", until=NOW)
    for _ in range(3):
        await attendant.look()
        for _ in range(20):
            await asyncio.sleep(0.005)
    assert "release-quick" in server.started
    assert sum(server.open.values()) == 8
    server.hanging = set()


async def test_release_while_temporal_is_away_is_begun_when_it_is_back(
    rt: Runtime, now: list[datetime], server: Server, attendant: Attendant
) -> None:
    await contain(rt, until=NOW)
    server.is_away = True
    await attended(attendant)
    server.is_away = False
    now[0] += REST
    await attended(attendant)
    assert server.started == ["release-k"]


async def test_release_that_is_still_due_rests(
    rt: Runtime, now: list[datetime], server: Server, attendant: Attendant
) -> None:
    await contain(rt, until=NOW)
    server.stuck = {"release-k"}
    await attended(attendant)
    await attended(attendant)
    assert server.started == ["release-k"]
    now[0] += REST
    await attended(attendant)
    assert server.started == ["release-k"] * 2


async def test_held_containment_is_checked_as_often_as_the_policy_says(
    rt: Runtime, now: list[datetime], server: Server, attendant: Attendant
) -> None:
    await contain(rt, checked_at=NOW)
    for minutes, checks in [(14, 0), (1, 1), (14, 1), (1, 2)]:
        now[0] += timedelta(minutes=minutes)
        await attended(attendant)
        assert server.started == ["check-k"] * checks


async def test_check_is_begun_by_one_worker(rt: Runtime, now: list[datetime]) -> None:
    await contain(rt, checked_at=NOW)
    now[0] += HOUR
    servers = [Server(), Server()]
    attendants = [Attendant(rt, server) for server in servers]  # type: ignore[arg-type]
    await asyncio.gather(*(attended(each) for each in attendants))
    assert sum(len(server.started) for server in servers) == 1


@pytest.mark.parametrize("state", ["lifted", "lifting", "stuck"])
async def test_only_what_is_held_is_checked(
    rt: Runtime, now: list[datetime], server: Server, attendant: Attendant, state: str
) -> None:
    await contain(rt, "k", state, checked_at=NOW, is_live=False, retry_at=NOW + 9 * HOUR)
    now[0] += HOUR
    await attended(attendant)
    assert server.started == []


async def test_restored_installation_has_everything_in_force_read_back(
    rt: Runtime, server: Server, attendant: Attendant
) -> None:
    await contain(rt, checked_at=NOW)
    async with rt.store.write() as session:
        assert await containments.forget_verifications(session) == 1
    await attended(attendant)
    assert server.started == ["check-k"]


async def test_what_is_due_is_found_by_indexes(rt: Runtime) -> None:
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        asked.append((statement, values))

    async with rt.store.read() as session:
        event.listen(Engine, "before_cursor_execute", note)
        try:
            await containments.due_releases(session, NOW, 10, but_keys={"k"})
            await containments.due_checks(session, NOW, 10, but_connections={"edr"})
        finally:
            event.remove(Engine, "before_cursor_execute", note)
        connection = await session.connection()
        plans = [
            [
                row[3]
                for row in await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)
            ]
            for sql, values in asked
        ]
    assert [index for plan in plans for index in _INDEXES if any(index in row for row in plan)] == [
        *_INDEXES
    ]
    scans = ("SCAN leases", "SCAN containments", "USE TEMP")
    assert not [row for plan in plans for row in plan if row.startswith(scans)]


_INDEXES = ("ix_leases_due", "ix_containments_retry", "ix_containments_check")
