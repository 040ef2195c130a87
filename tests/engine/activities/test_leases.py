"""Leases: extend, shorten, release, and the list of containments in force."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from temporalio.testing import ActivityEnvironment

from orchestrator.containments.queries import EVERY, get_containment, list_containments
from orchestrator.containments.release import change_lease, release, release_incident
from orchestrator.contracts.change import PlanRequest, UndoReply, UndoRequest
from orchestrator.domain.change import Verdict
from orchestrator.domain.containment import ContainmentState, LeaseEndReason
from orchestrator.domain.errors import Conflict, Invalid, NotFound
from orchestrator.engine.activities.plan import PlanChange
from orchestrator.store.search.filters import ContainmentFilter
from orchestrator.store.tables import AuditEventRow, ContainmentRow, IncidentRow, LeaseRow, RunRow
from tests.harness.activity_rig import START, ActivityRig, UndoChange, rig

HOUR = timedelta(hours=1)
ANN = "person:ann"


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ActivityRig]:
    async with rig(tmp_path) as made:
        yield made


async def held(bench: ActivityRig, *runs: str, until: timedelta | None = HOUR) -> str:
    """Contain for these runs, each until then; return the containment's key."""
    key = ""
    for run in runs or ("run_1",):
        call = bench.block(run)
        planned = await bench.plan(call)
        await bench.apply(call, planned)
        key = planned.change.containment_key
    async with bench.rt.store.write() as session:
        for lease in await bench.rows(LeaseRow):
            lease.until = START + until if until else None
            await session.merge(lease)
    return key


async def leases(bench: ActivityRig) -> dict[str, LeaseRow]:
    return {row.id: row for row in await bench.rows(LeaseRow)}


async def undo(bench: ActivityRig, cause: LeaseEndReason = LeaseEndReason.EXPIRED) -> UndoReply:
    request = UndoRequest(
        run_id="run_1", path="block", cause=cause, reason="as the test says", actor="system"
    )
    return await ActivityEnvironment().run(UndoChange(bench.rt).undo, request)


async def test_extension_is_audited_with_actor_and_reason(bench: ActivityRig) -> None:
    key = await held(bench)
    shown = await change_lease(
        bench.rt, key, length=4 * HOUR, way="extend", actor=ANN, reason="still looked at"
    )
    assert shown.expires_at == START + 4 * HOUR
    last = (await bench.rows(AuditEventRow, AuditEventRow.number))[-1]
    assert (last.kind, last.actor, last.subject) == ("containment:lease:changed", ANN, "run_1")
    assert last.data["reason"] == "still looked at"


async def test_extend_skips_longer_leases_and_shorten_skips_shorter_ones(
    bench: ActivityRig,
) -> None:
    key = await held(bench, "run_1", "run_2")
    await change_lease(bench.rt, key, lease="run_2/block", length=8 * HOUR, actor=ANN)
    await change_lease(bench.rt, key, length=4 * HOUR, way="extend", actor=ANN)
    found = await leases(bench)
    assert (found["run_1/block"].until, found["run_2/block"].until) == (
        START + 4 * HOUR,
        START + 8 * HOUR,
    )
    await change_lease(bench.rt, key, length=6 * HOUR, way="shorten", actor=ANN)
    found = await leases(bench)
    assert (found["run_1/block"].until, found["run_2/block"].until) == (
        START + 4 * HOUR,
        START + 6 * HOUR,
    )
    with pytest.raises(Conflict, match="use `shorten` to end them earlier"):
        await change_lease(bench.rt, key, length=HOUR, way="extend", actor=ANN)


async def test_lease_without_end_can_get_one(bench: ActivityRig) -> None:
    key = await held(bench, until=None)
    assert (await get_containment(bench.rt, key)).expires_at is None
    changed = await change_lease(bench.rt, key, length=HOUR, actor=ANN)
    assert changed.expires_at == START + HOUR


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"until": START - HOUR}, "in the past; to lift the containment now, release it"),
        ({"until": START}, "in the past"),
        ({"until": START + timedelta(days=3661)}, "at most 3660d"),
        ({"length": timedelta(days=3661)}, "at most 3660d"),
        ({"length": timedelta()}, "must be more than 0"),
        ({}, "give either"),
        ({"until": START + HOUR, "length": HOUR}, "give either"),
    ],
)
async def test_invalid_end_is_refused_with_a_hint(
    bench: ActivityRig, given: dict[str, Any], said: str
) -> None:
    key = await held(bench)
    with pytest.raises(Invalid, match=said):
        await change_lease(bench.rt, key, **given, actor=ANN)


async def test_ended_or_lifting_containment_is_not_extended(bench: ActivityRig) -> None:
    key = await held(bench)
    bench.pass_time(HOUR)
    with pytest.raises(Conflict, match="start a run to contain the target again"):
        await change_lease(bench.rt, key, length=HOUR, actor=ANN)
    async with bench.rt.store.write() as session:
        row = await session.get(ContainmentRow, key)
        assert row is not None
        row.state = ContainmentState.LIFTING
    with pytest.raises(Conflict, match="is lifting"):
        await change_lease(bench.rt, key, length=HOUR, actor=ANN)


async def test_unknown_lease_is_not_found_and_an_ended_one_conflicts(
    bench: ActivityRig,
) -> None:
    key = await held(bench, "run_1", "run_2")
    with pytest.raises(NotFound):
        await change_lease(bench.rt, key, lease="run_9/block", length=HOUR, actor=ANN)
    assert (await undo(bench, LeaseEndReason.ROLLED_BACK)).outcome == "kept"
    with pytest.raises(Conflict, match="released already"):
        await change_lease(bench.rt, key, lease="run_1/block", length=HOUR, actor=ANN)


async def test_lease_extended_after_it_was_due_is_not_ended(
    bench: ActivityRig,
) -> None:
    key = await held(bench)
    await change_lease(bench.rt, key, length=4 * HOUR, actor=ANN)
    bench.pass_time(HOUR)  # the workflow had read the old end
    assert (await undo(bench)).outcome == "kept"
    assert [lease.state for lease in await bench.rows(LeaseRow)] == ["live"]
    assert bench.worlds["firewall"].in_force()["addresses"] != []


async def test_release_of_one_lease_keeps_the_others(bench: ActivityRig) -> None:
    key = await held(bench, "run_1", "run_2")
    await release(bench.rt, key, lease="run_1/block", actor=ANN, reason="false positive")
    found = await leases(bench)
    released = found["run_1/block"]
    assert (released.until, released.end_reason, released.ended_by) == (
        START,
        LeaseEndReason.RELEASED,
        ANN,
    )
    assert found["run_2/block"].until == START + HOUR


async def test_release_of_an_incident_keeps_leases_of_others(
    bench: ActivityRig,
) -> None:
    await bench.add(
        IncidentRow(
            id="inc_1",
            correlation_key="k",
            title="t",
            severity=4,
            opened_at=START,
            last_alert_at=START,
        )
    )
    key = await held(bench, "run_1", "run_2")
    async with bench.rt.store.write() as session:
        other = await session.get(RunRow, "run_2")
        assert other is not None
        other.incident_id = "inc_2"
    found = await release_incident(bench.rt, "inc_1", actor=ANN)
    assert [item.id for item in found.items] == [key]
    assert (await leases(bench))["run_1/block"].until == START
    assert (await leases(bench))["run_2/block"].until == START + HOUR
    with pytest.raises(NotFound):
        await release_incident(bench.rt, "inc_9", actor=ANN)


async def test_containments_are_listed_in_two_queries(bench: ActivityRig) -> None:
    await held(bench, "run_1", "run_2")
    queries: list[str] = []
    event.listen(
        bench.rt.store.engine.sync_engine,
        "before_cursor_execute",
        lambda *given: queries.append(given[2]),
    )
    (item,) = (await list_containments(bench.rt)).items
    assert len([query for query in queries if query.startswith("SELECT")]) == 2
    assert (item.connector, item.state, item.ours, item.expires_at) == (
        "palo_alto",
        "held",
        True,
        START + HOUR,
    )
    assert {(lease.playbook, lease.started_by, lease.alert) for lease in item.leases} == {
        ("contain", "source:test", "t")
    }


async def test_lifted_containments_are_listed_only_on_request(bench: ActivityRig) -> None:
    await held(bench)
    await undo(bench, LeaseEndReason.ROLLED_BACK)
    assert (await list_containments(bench.rt)).items == []
    assert [item.state for item in (await list_containments(bench.rt, EVERY)).items] == ["lifted"]
    assert [
        item.state
        for item in (
            await list_containments(bench.rt, ContainmentFilter(state=(ContainmentState.LIFTED,)))
        ).items
    ] == ["lifted"]


async def test_nothing_is_held_before_people_have_answered(bench: ActivityRig) -> None:
    await bench.policy({"rules": [{"effect": "contain", "approve": {"by": "board"}}]})
    request = PlanRequest(call=bench.block(), lease=True)
    planned = await ActivityEnvironment().run(PlanChange(bench.rt).plan, request)
    assert planned.verdict.outcome is Verdict.ASK
    assert await bench.rows(LeaseRow) == await bench.rows(ContainmentRow) == []
    approved = request.model_copy(update={"approved": (planned.change.digest,)})
    await ActivityEnvironment().run(PlanChange(bench.rt).plan, approved)
    assert [row.state for row in await bench.rows(LeaseRow)] == ["live"]
