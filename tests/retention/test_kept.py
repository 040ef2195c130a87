"""What something still needs is never archived, and the plan says why it stays."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.errors import Invalid
from orchestrator.policy.document import Policy
from orchestrator.retention.archive import archive, plan_archive
from orchestrator.retention.cutoff import find_cutoff
from orchestrator.runtime import Runtime
from orchestrator.store.queries.retention.blockers import KeptFor
from orchestrator.store.tables import (
    AlertRow,
    ApprovalRow,
    ContainmentRow,
    DecisionRow,
    EffectRow,
    IncidentRow,
    LeaseRow,
    NotificationRow,
    PolicyRow,
    RunKeyRow,
    RunRow,
    SourceRow,
    TaskRow,
)
from tests.harness.approval_rows import playbook
from tests.harness.databases import START, edit_rows
from tests.retention.old_records import (
    BEFORE,
    OLD,
    add,
    archived,
    closed,
    counts,
    edit,
    installed,
    notification,
    of_run,
    run,
)

SOON = START - timedelta(hours=1)

CHANGES: dict[str, tuple[type[Any], dict[str, Any], KeptFor]] = {
    "a run that is open": (RunRow, {"ended_at": None, "status": "running"}, KeptFor.OPEN),
    "a run that ended lately": (RunRow, {"ended_at": SOON}, KeptFor.OPEN),
    "a lease that is live": (LeaseRow, {"state": "live", "ended_at": None}, KeptFor.LEASE),
    "a containment that is held": (ContainmentRow, {"state": "held"}, KeptFor.CONTAINMENT),
    "a containment that is stuck": (ContainmentRow, {"state": "stuck"}, KeptFor.CONTAINMENT),
    "an intent without an outcome": (EffectRow, {"state": "intended"}, KeptFor.EFFECT),
    "an effect in force": (EffectRow, {"state": "verified"}, KeptFor.EFFECT),
    "a restore": (EffectRow, {"state": "applied", "effect": "restore"}, KeptFor.EFFECT),
    "a ticket without an outcome": (
        EffectRow,
        {"state": "intended", "effect": "notify"},
        KeptFor.EFFECT,
    ),
    "a notification to send": (NotificationRow, {"state": "waiting"}, KeptFor.NOTIFICATION),
    "a link that works": (
        NotificationRow,
        {"token_hash": "h", "expires_at": START + timedelta(days=1)},
        KeptFor.NOTIFICATION,
    ),
    "a once_per key": (RunKeyRow, {"at": SOON}, KeptFor.ONCE_PER),
    "an approval that another hand wrote": (ApprovalRow, {"question": "x"}, KeptFor.REFUSED),
    "a decision that another hand wrote": (DecisionRow, {"comment": "x"}, KeptFor.REFUSED),
    "an alert that came again": (AlertRow, {"last_seen_at": SOON}, KeptFor.ALERT),
    "an incident that grew": (IncidentRow, {"last_alert_at": SOON}, KeptFor.ALERT),
}


@pytest.mark.parametrize("what", CHANGES)
async def test_incident_stays_whole_for(what: str, tmp_path: Path) -> None:
    table, values, reason = CHANGES[what]
    async with installed(tmp_path) as rt:
        await add(rt, *closed("a"))
        await edit(rt, table, **values)
        await assert_kept(rt, tmp_path, reason)


@pytest.mark.parametrize(
    "what", ["a lease that is live", "a run that is open", "an effect in force"]
)
async def test_incident_stays_whole_on_postgresql_too_for(
    what: str, tmp_path: Path, database: str | None
) -> None:
    table, values, reason = CHANGES[what]
    async with installed(tmp_path, database) as rt:
        await add(rt, *closed("a"))
        await edit(rt, table, **values)
        await assert_kept(rt, tmp_path, reason)


@pytest.mark.parametrize(
    "values", [{"state": "pending"}, {"state": "approved", "review": "pending"}]
)
async def test_approval_that_is_not_over_keeps_its_run(
    values: dict[str, Any], tmp_path: Path
) -> None:
    async with installed(tmp_path) as rt:
        await add(rt, *closed("a"))
        async with rt.store.write() as session:
            await edit_rows(session, ApprovalRow, **values)
        await assert_kept(rt, tmp_path, KeptFor.APPROVAL)


async def test_pending_approval_of_another_run_keeps_those_of_its_batch(tmp_path: Path) -> None:
    async with installed(tmp_path) as rt:
        await add(rt, *closed("a"), *closed("young", START))
        async with rt.store.write() as session:
            await edit_rows(session, ApprovalRow, batch="bat_1")
            (await session.get_one(ApprovalRow, "apr_young")).state = "pending"  # type: ignore[assignment]
        before = await counts(rt)
        assert (await plan_archive(rt, BEFORE)).kept == {KeptFor.APPROVAL: 1}
        assert await counts(rt) == before


@pytest.mark.parametrize("subject", ["run_a", "inc_a", "apr_a", "containment of a"])
async def test_open_task_keeps_its_subject(subject: str, tmp_path: Path) -> None:
    async with installed(tmp_path) as rt:
        task = TaskRow(
            id="tsk_1", kind="lost_run", subject=subject, summary="s", state="open", opened_at=OLD
        )
        await add(rt, *closed("a"), task)
        await assert_kept(rt, tmp_path, KeptFor.TASK)
        await edit(rt, TaskRow, state="closed", closed_at=START)
        assert (await archived(rt, tmp_path)).removed.rows["runs"] == 1


async def test_restore_by_a_young_run_keeps_what_its_undo_would_need(tmp_path: Path) -> None:
    async with installed(tmp_path) as rt:
        await add(rt, *closed("a"), *closed("young", START))
        async with rt.store.write() as session:
            restored = await session.get_one(EffectRow, "run_a/block/1")
            restored.undone_by = "run_young/block/1"
        assert (await plan_archive(rt, BEFORE)).kept == {KeptFor.RESTORE: 1}
        async with rt.store.write() as session:
            (await session.get_one(EffectRow, "run_a/block/1")).undone_by = None
            (await session.get_one(LeaseRow, "run_a/block")).restored_by = "run_young/block/1"
        assert (await plan_archive(rt, BEFORE)).kept == {KeptFor.RESTORE: 1}


async def test_one_run_keeps_the_other_runs_of_its_incident(tmp_path: Path) -> None:
    async with installed(tmp_path) as rt:
        other = run("b", incident_id="inc_a", alert_id="alert_a", status="running", ended_at=None)
        await add(rt, *closed("a"), other, *of_run("b"))
        await assert_kept(rt, tmp_path, KeptFor.OPEN)


async def test_ticket_that_was_made_keeps_nothing(tmp_path: Path) -> None:
    async with installed(tmp_path) as rt:
        await add(rt, *closed("a"))
        await edit(rt, EffectRow, state="applied", effect="notify")
        assert (await archived(rt, tmp_path)).removed.rows["effects"] == 1


async def test_run_without_an_incident_is_judged_alone(tmp_path: Path) -> None:
    async with installed(tmp_path) as rt:
        alone = [run(name, incident_id=None, alert_id=None) for name in ("a", "b")]
        await add(rt, *alone, *of_run("a"), *of_run("b"))
        async with rt.store.write() as session:
            (await session.get_one(LeaseRow, "run_b/block")).state = "live"  # type: ignore[assignment]
        assert (await plan_archive(rt, BEFORE)).kept == {KeptFor.LEASE: 1}
        await archived(rt, tmp_path)
        assert (await counts(rt))["steps"] == 2


async def test_messages_about_tasks_and_batches_go_once_what_they_are_about_is_over(
    tmp_path: Path,
) -> None:
    async with installed(tmp_path) as rt:
        task = TaskRow(
            id="tsk_1", kind="drift", subject="k", summary="s", state="open", opened_at=OLD
        )
        await add(rt, task, notification("ntf_1", "tsk_1"), notification("ntf_2", "bat_1"))
        await add(rt, notification("ntf_3", "bat_2", state="waiting"), *closed("a"))
        async with rt.store.write() as session:
            await edit_rows(session, ApprovalRow, batch="bat_1")
        # The first archive has the approval of the batch, the second one its message.
        assert (await archived(rt, tmp_path)).removed.rows["notifications"] == 1
        assert (await archived(rt, tmp_path)).removed.rows == {"notifications": 1}
        await edit(rt, TaskRow, state="closed", closed_at=START)
        assert (await archived(rt, tmp_path)).removed.rows == {"notifications": 1}
        assert (await plan_archive(rt, BEFORE)).kept == {KeptFor.NOTIFICATION: 1}


async def test_alert_of_another_incident_that_a_run_started_from_stays(tmp_path: Path) -> None:
    async with installed(tmp_path) as rt:
        young = run("young", START, incident_id=None, alert_id="alert_a")
        await add(rt, *closed("a"), young)
        done = await archived(rt, tmp_path)
        assert (done.removed.rows["runs"], done.removed.rows.get("alerts", 0)) == (1, 0)
        assert (await counts(rt))["incidents"] == 1


def within(policy: dict[str, Any]) -> Callable[[], Any]:
    return lambda: PolicyRow(
        version=1,
        digest=Policy.model_validate(policy).digest,
        document=policy,
        source="",
        published_at=START,
        published_by="person:test",
    )


WINDOWS: dict[str, tuple[Callable[[], Any], str]] = {
    "a limit": (
        within({"limits": {"windows": [{"per": "source", "within": "40d", "hosts": 5}]}}),
        "a limit of the policy (per source) looks back 40d",
    ),
    "the breaker": (
        within({"breaker": {"within": "1d", "compared_with": "50d"}}),
        "the circuit breaker of the policy looks back 51d",
    ),
    "once_per": (
        lambda: playbook("c2", 3, "person:pat", {"trigger": {"within": 60 * 86_400}}),
        "`once_per` of playbook c2 version 3 looks back 60d",
    ),
    "the correlation of a source": (
        lambda: SourceRow(
            name="edge",
            product="generic",
            scheme="hmac",
            secret=b"",
            created_at=START,
            correlate_within=70 * 86_400,
        ),
        "the correlation of a source (`correlate_within`) looks back 70d",
    ),
}


@pytest.mark.parametrize("what", WINDOWS)
async def test_age_inside_a_window_is_refused_for(
    what: str, tmp_path: Path, database: str | None
) -> None:
    make, message = WINDOWS[what]
    async with installed(tmp_path, database) as rt:
        await add(rt, make())
        with pytest.raises(Invalid) as refused:
            await find_cutoff(rt, timedelta(days=30))
        assert f"--older-than 30d: {message}, and would no longer see" in str(refused.value)
        assert await find_cutoff(rt, timedelta(days=365)) == BEFORE


async def assert_kept(rt: Runtime, folder: Path, reason: KeptFor) -> None:
    before = await counts(rt)
    planned = await plan_archive(rt, BEFORE)
    assert (planned.rows, planned.kept) == ({}, {reason: 1})
    made = await archive(rt, BEFORE, folder / "x", actor="person:t", report=lambda _: None)
    assert made is None
    assert await counts(rt) == before
