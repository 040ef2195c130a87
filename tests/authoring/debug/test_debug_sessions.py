"""Debug sessions: they show what a draft would do, and undo what they applied."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.worker import Replayer

from orchestrator.approvals.views import list_approvals
from orchestrator.authoring.debug import sessions
from orchestrator.authoring.debug.request import BeginSession
from orchestrator.authoring.debug.workflow import DebugSession
from orchestrator.containments.queries import EVERY, list_containments
from orchestrator.contracts import debug
from orchestrator.contracts.debug import DebugCommand
from orchestrator.domain.approval import ApprovalState
from orchestrator.domain.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from orchestrator.engine.temporal.registry import workflow_runner
from orchestrator.registry import versions
from orchestrator.runs.lifecycle import retry_run
from orchestrator.store.search.filters import ApprovalFilter
from orchestrator.store.tables import PlaybookRow, RunRow
from tests.harness.debug_rig import ADDRESS, TEXT, DebugBench, debug_bench, path


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[DebugBench]:
    async with debug_bench(tmp_path) as bench:
        yield bench


async def test_session_pauses_before_each_step_and_changes_nothing(bench: DebugBench) -> None:
    state = await bench.begin()
    assert (state.phase, path(state), state.at and state.at.inputs) == (
        "paused",
        "host",
        {"host": "mac-113"},
    )
    state = await bench.say(state, "next")
    assert path(state) == "contain"
    state = await bench.say(state, "next")
    assert state.at is not None
    assert (state.at.path, state.at.uses, state.at.effect) == (
        "contain/block",
        "firewall.block_address",
        "contain",
    )
    assert state.at.planned is not None
    assert (state.at.planned.target, state.at.planned.changed, state.at.planned.verdict) == (
        ADDRESS,
        True,
        "allow",
    ), state.at
    state = await bench.say(state, "next")
    assert path(state) == "ticket"
    assert {each.path: each.state for each in state.steps}["gone"] == "skipped"
    state = await bench.say(state, "continue")
    assert (state.phase, state.result, state.at) == ("over", "completed", None)
    assert bench.rig.effects("firewall") == bench.rig.effects("tickets") == 0
    assert {"playbook:debug:started", "run:step:read", "playbook:debug:ended"} <= set(
        await bench.rig.kinds()
    )
    with pytest.raises(Conflict, match="is over"):
        await bench.say(state, "next")


async def test_breakpoint_pauses_and_expressions_show_what_the_step_sees(
    bench: DebugBench,
) -> None:
    state = await bench.begin(breakpoints=["contain/block"])
    assert path(state) == "contain/block"
    shown = await bench.say(state, "show", expression="steps.host.name")
    assert shown.message == '"MAC-113"'
    step = await bench.say(state, "show", expression="host")
    assert '"state": "done"' in str(step.message)
    title = await bench.say(state, "show", expression="alert.title")
    assert title.message == '"beacon ${{ 1 + 1 }}"'
    with pytest.raises(Invalid):
        await bench.say(state, "show", expression="steps.nowhere.")
    state = await bench.say(state, "break", path="ticket")
    assert state.breakpoints == ("contain/block", "ticket")
    assert path(await bench.say(state, "continue")) == "ticket"


async def test_step_is_skipped_or_overridden(bench: DebugBench) -> None:
    state = await bench.begin()
    result = {"id": "x", "name": "dc-01", "api_key": "hunter2"}
    state = await bench.say(state, "override", result=result)
    state = await bench.say(state, "next")
    state = await bench.say(state, "skip")
    assert path(state) == "ticket"
    assert {each.path: each.state for each in state.steps}["contain/block"] == "skipped"
    assert state.at is not None
    assert state.at.problem is not None or state.at.inputs == {"title": "dc-01: "}
    assert "hunter2" not in state.model_dump_json()


async def test_block_cannot_be_overridden(bench: DebugBench) -> None:
    state = await bench.begin(breakpoints=["contain"])
    with pytest.raises(Invalid, match="cannot override a `parallel`; override one of its steps"):
        await bench.say(state, "override", result={})


async def test_applied_step_is_a_whole_run_and_is_undone_at_the_end(bench: DebugBench) -> None:
    state = await bench.begin(breakpoints=["block"])
    with pytest.raises(Invalid, match=f"type the target exactly as it is planned: {ADDRESS}"):
        await bench.say(state, "apply", target="185.220.101.8")
    assert bench.rig.effects("firewall") == 0
    state = await bench.say(state, "apply", target=ADDRESS)
    assert (state.phase, path(state)) == ("paused", "ticket"), state
    (applied,) = state.applied
    assert (applied.status, applied.target, applied.undone) == ("completed", ADDRESS, False), state
    assert bench.rig.effects("firewall") == 1
    (run,) = [row for row in await bench.rig.rows(RunRow) if row.id == applied.run_id]
    assert (run.mode, run.started_by, run.playbook, run.alert_id) == (
        "live",
        "person:eve",
        "draft",
        "alert_w",
    )
    (version,) = [row for row in await bench.rig.rows(PlaybookRow) if row.name == "draft"]
    assert (version.retired, version.stage, version.digest, version.published_by) == (
        True,
        "debug",
        run.plan_digest,
        "person:eve",
    )
    with pytest.raises(Conflict, match="it cannot run again"):
        await versions.reinstate(bench.rig.rt, "draft", version.version, actor="person:eve")
    state = await bench.say(state, "continue")
    assert (state.phase, [each.undone for each in state.applied]) == ("over", [True])
    await is_lifted(bench)
    assert bench.rig.effects("firewall") == 2
    await replay(bench, state.id)


async def replay(bench: DebugBench, session_id: str) -> None:
    """Replay a session, as a worker does that takes it over from another."""
    history = await bench.client.get_workflow_handle(session_id).fetch_history()
    replayer = Replayer(
        workflows=[DebugSession],
        workflow_runner=workflow_runner(),
        namespace=bench.client.namespace,
        data_converter=bench.client.data_converter,
    )
    await replayer.replay_workflow(history)


async def is_lifted(bench: DebugBench) -> None:
    async with asyncio.timeout(30):
        while True:
            (found,) = (await list_containments(bench.rig.rt, EVERY)).items
            if found.state == "lifted":
                return
            await asyncio.sleep(0.05)  # a worker lifts it, and signals nothing


async def test_kept_step_stays_until_its_lease_ends(bench: DebugBench) -> None:
    state = await bench.begin(breakpoints=["block"])
    state = await bench.say(state, "apply", target=ADDRESS)
    await bench.say(state, "keep")
    state = await bench.end(state)
    assert [each.kept for each in state.applied] == [True]
    (containment,) = (await list_containments(bench.rig.rt, EVERY)).items
    assert containment.state == "held"
    assert containment.leases[0].expires_at is not None
    assert bench.rig.effects("firewall") == 1


async def test_approval_of_the_group_is_asked_and_withdrawn_with_the_session(
    bench: DebugBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debug, "ANSWER_WITHIN", timedelta(seconds=1))
    text = TEXT.replace(
        "  - id: contain\n",
        '  - id: contain\n    approve: {question: "Block ${{ alert.title }}?", by: soc-leads}\n',
    )
    state = await bench.begin(text, breakpoints=["block"])
    assert state.at is not None
    assert state.at.asked == "Block beacon ${{ 1 + 1 }}?"
    state = await bench.say(state, "apply", target=ADDRESS)
    assert state.phase == "applying"
    async with asyncio.timeout(30):
        while not (
            found := (
                await list_approvals(bench.rig.rt, ApprovalFilter(state=(ApprovalState.PENDING,)))
            ).items
        ):
            await asyncio.sleep(0.05)  # the run asks, and signals nothing
    assert (found[0].question, found[0].by) == ("Block beacon ${{ 1 + 1 }}?", "soc-leads"), found
    state = await bench.end(state)
    async with asyncio.timeout(30):
        while (
            await list_approvals(bench.rig.rt, ApprovalFilter(state=(ApprovalState.PENDING,)))
        ).items:
            await asyncio.sleep(0.05)  # the run ends, and signals nothing
    assert bench.rig.effects("firewall") == 0
    with pytest.raises(Conflict, match="start a new session"):
        await retry_run(bench.rig.rt, None, state.applied[0].run_id, actor="person:ann")


async def test_step_is_not_applied_for_an_alert_that_was_not_received(bench: DebugBench) -> None:
    alert = {"severity": 5, "host": {"name": "mac-113"}, "remote": {"address": ADDRESS}}
    state = await bench.begin(alert_id=None, alert=alert)
    state = await bench.say(state, "break", path="block")
    state = await bench.say(state, "continue")
    with pytest.raises(Invalid, match="only for an alert that Tocsin received"):
        await bench.say(state, "apply", target=ADDRESS)


async def test_session_is_its_owners_alone_and_in_staging_only(bench: DebugBench) -> None:
    rt = bench.rig.rt
    production = replace(rt, settings=rt.settings.model_copy(update={"environment": "production"}))
    request = BeginSession(text=TEXT, alert_id="alert_w")
    with pytest.raises(Forbidden, match="in staging only"):
        await sessions.begin_session(production, bench.client, request, person="eve")
    state = await bench.begin()
    command = DebugCommand(command="next")
    with pytest.raises(NotFound):
        await sessions.execute_command(rt, bench.client, state.id, command, person="mallory")
    with pytest.raises(NotFound):
        await sessions.get_session(bench.client, state.id, person="mallory")
    with pytest.raises(NotFound):
        await sessions.end_session(bench.client, state.id, person="mallory")


async def test_open_sessions_are_few(bench: DebugBench) -> None:
    begun = []
    with pytest.raises(Conflict, match="debug sessions are open"):
        for _ in range(5 * sessions.MAX_SESSIONS):  # Temporal counts them with some delay
            begun += [await bench.begin()]
    for state in begun:
        await bench.end(state)


async def test_session_without_commands_ends(
    bench: DebugBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debug, "IDLE", timedelta(seconds=0.2))
    state = await bench.begin()
    async with asyncio.timeout(30):
        while (state := await bench.state(state)).phase != "over":
            await asyncio.sleep(0.05)  # it ends by its own clock
    assert "no command for" in str(state.error)


async def test_without_temporal_no_session_begins(bench: DebugBench) -> None:
    request = BeginSession(text=TEXT, alert_id="alert_w")
    with pytest.raises(Unavailable, match="Temporal does not answer"):
        await sessions.begin_session(bench.rig.rt, None, request, person="eve")
