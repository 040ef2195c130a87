"""Does a debug session show what a draft would do, change nothing by itself, and take back what it was told to apply?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.approvals.decide import list_approvals
from orchestrator.authoring.debug.sessions import MOST, Sessions
from orchestrator.authoring.debug.state import Command
from orchestrator.containments.queries import list_containments
from orchestrator.domain.errors import Conflict, Forbidden, Invalid, NotFound
from orchestrator.registry import versions
from orchestrator.runs.lifecycle import retry_run
from orchestrator.store.tables import PlaybookRow, RunRow
from tests.harness.activity_rig import Rig, rig
from tests.harness.debug_rig import ADDRESS, TEXT, begun, opened, path, say
from tests.harness.temporal_rig import on_temporal


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path) as bare:
        yield await opened(bare)


@pytest.fixture
async def sessions(made: Rig) -> AsyncIterator[Sessions]:
    found = Sessions(made.rt, lambda: None)
    yield found
    await found.close()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[tuple[Rig, Sessions]]:
    async with on_temporal(tmp_path) as (bare, client):
        made = await opened(bare)
        found = Sessions(made.rt, lambda: client)
        yield made, found
        await found.close()


async def test_it_stops_before_each_step_shows_what_would_change_and_changes_nothing(
    made: Rig, sessions: Sessions
) -> None:
    state = await begun(sessions)
    assert (state.standing, path(state), state.at and state.at.inputs) == (
        "paused",
        "host",
        {"host": "mac-113"},
    )
    state = await say(sessions, state, "next")
    assert path(state) == "contain"
    state = await say(sessions, state, "next")
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
    state = await say(sessions, state, "next")
    assert path(state) == "ticket"
    assert {each.path: each.state for each in state.steps}["gone"] == "skipped"
    state = await say(sessions, state, "continue")
    assert (state.standing, state.result, state.at) == ("over", "completed", None)
    assert made.effects("firewall") == made.effects("tickets") == 0
    assert {"playbook:debug:started", "run:step:read", "playbook:debug:ended"} <= set(
        await made.kinds()
    )
    with pytest.raises(Conflict, match="is over"):
        await say(sessions, state, "next")


async def test_a_breakpoint_holds_it_and_expressions_are_seen_as_the_step_sees_them(
    sessions: Sessions,
) -> None:
    state = await begun(sessions, breakpoints=["contain/block"])
    assert path(state) == "contain/block"
    shown = await say(sessions, state, "show", expression="steps.host.name")
    assert shown.said == '"MAC-113"'
    assert '"state": "done"' in str((await say(sessions, state, "show", expression="host")).said)
    assert (
        await say(sessions, state, "show", expression="alert.title")
    ).said == '"beacon ${{ 1 + 1 }}"'
    with pytest.raises(Invalid):
        await say(sessions, state, "show", expression="steps.nowhere.")
    assert (await say(sessions, state, "break", path="ticket")).breakpoints == (
        "contain/block",
        "ticket",
    )
    assert path(await say(sessions, state, "continue")) == "ticket"


async def test_a_step_is_skipped_or_comes_to_what_the_author_says(sessions: Sessions) -> None:
    state = await begun(sessions)
    state = await say(
        sessions, state, "override", result={"id": "x", "name": "dc-01", "api_key": "hunter2"}
    )
    state = await say(sessions, state, "next")
    state = await say(sessions, state, "skip")
    assert path(state) == "ticket"
    assert {each.path: each.state for each in state.steps}["contain/block"] == "skipped"
    assert state.at is not None
    assert state.at.problem is not None or state.at.inputs == {"title": "dc-01: "}
    assert "hunter2" not in state.model_dump_json()


async def test_without_a_result_of_its_own_no_block_is_overridden(sessions: Sessions) -> None:
    state = await begun(sessions, breakpoints=["contain"])
    with pytest.raises(Invalid, match="a parallel comes to what its steps come to"):
        await say(sessions, state, "override", result={})


async def test_what_is_applied_goes_the_whole_way_and_is_taken_back_at_the_end(
    bench: tuple[Rig, Sessions],
) -> None:
    made, sessions = bench
    state = await begun(sessions, breakpoints=["block"])
    with pytest.raises(
        Invalid, match=f"type the target as it stands in the planned_change: {ADDRESS}"
    ):
        await say(sessions, state, "apply", target="185.220.101.8")
    assert made.effects("firewall") == 0
    state = await say(sessions, state, "apply", target=ADDRESS)
    assert (state.standing, path(state)) == ("paused", "ticket"), state
    (applied,) = state.applied
    assert (applied.status, applied.target, applied.taken_back) == ("completed", ADDRESS, False), (
        state
    )
    assert made.effects("firewall") == 1
    (run,) = [row for row in await made.rows(RunRow) if row.id == applied.run_id]
    assert (run.mode, run.started_by, run.playbook, run.alert_id) == (
        "live",
        "person:eve",
        "draft",
        "alert_w",
    )
    (version,) = [row for row in await made.rows(PlaybookRow) if row.name == "draft"]
    assert (version.retired, version.stage, version.digest, version.published_by) == (
        True,
        "debug",
        run.plan_digest,
        "person:eve",
    )
    with pytest.raises(Conflict, match="it runs no more"):
        await versions.reinstate(made.rt, "draft", version.version, actor="person:eve")
    state = await say(sessions, state, "continue")
    assert (state.standing, [each.taken_back for each in state.applied]) == ("over", [True])
    await lifted(made)
    assert made.effects("firewall") == 2


async def lifted(made: Rig) -> None:
    async with asyncio.timeout(30):
        while (await list_containments(made.rt, state="all"))["items"][0][
            "state"
        ] != "lifted":  # nothing says when
            await asyncio.sleep(0.05)


async def test_what_is_kept_stays_until_its_lease_ends(bench: tuple[Rig, Sessions]) -> None:
    made, sessions = bench
    state = await begun(sessions, breakpoints=["block"])
    state = await say(sessions, state, "apply", target=ADDRESS)
    await say(sessions, state, "keep")
    state = await sessions.end(state.id, person="eve")
    assert [each.kept for each in state.applied] == [True]
    (held,) = (await list_containments(made.rt, state="all"))["items"]
    assert held["state"] == "held"
    assert held["leases"][0]["until"] is not None
    assert made.effects("firewall") == 1


async def test_a_group_s_approval_is_asked_for_and_an_ended_session_leaves_nothing(
    bench: tuple[Rig, Sessions], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, sessions = bench
    monkeypatch.setattr("orchestrator.authoring.debug.session.PATIENCE_SECONDS", 1.0)
    text = TEXT.replace(
        "  - id: contain\n",
        '  - id: contain\n    approve: {question: "Block ${{ alert.title }}?", by: soc-leads}\n',
    )
    state = await begun(sessions, text, breakpoints=["block"])
    assert state.at is not None
    assert state.at.asked == "Block beacon ${{ 1 + 1 }}?"
    state = await say(sessions, state, "apply", target=ADDRESS)
    assert state.standing == "applying"
    async with asyncio.timeout(30):
        while not (
            found := (await list_approvals(made.rt, state="pending"))["items"]
        ):  # nothing says when
            await asyncio.sleep(0.05)
    assert (found[0]["question"], found[0]["by"]) == ("Block beacon ${{ 1 + 1 }}?", "soc-leads"), (
        found
    )
    state = await sessions.end(state.id, person="eve")
    async with asyncio.timeout(30):
        while (await list_approvals(made.rt, state="pending"))["items"]:  # nothing says when
            await asyncio.sleep(0.05)
    assert made.effects("firewall") == 0
    with pytest.raises(Conflict, match="begin another session"):
        await retry_run(made.rt, None, state.applied[0].run_id, actor="person:ann")


async def test_a_step_is_not_applied_on_an_alert_that_never_came(sessions: Sessions) -> None:
    state = await begun(
        sessions,
        alert_id=None,
        alert={"severity": 5, "host": {"name": "mac-113"}, "remote": {"address": ADDRESS}},
    )
    state = await say(sessions, state, "break", path="block")
    state = await say(sessions, state, "continue")
    with pytest.raises(Invalid, match="on an alert that Tocsin has received"):
        await say(sessions, state, "apply", target=ADDRESS)


async def test_sessions_are_for_staging_are_few_and_are_their_owner_s_alone(
    made: Rig, sessions: Sessions
) -> None:
    production = replace(
        made.rt, settings=made.rt.settings.model_copy(update={"environment": "production"})
    )
    with pytest.raises(Forbidden, match="in staging only"):
        await begun(Sessions(production, lambda: None))
    state = await begun(sessions)
    with pytest.raises(NotFound):
        await sessions.told(state.id, Command(command="next"), person="mallory")
    for _ in range(MOST - 1):
        await begun(sessions)
    with pytest.raises(Conflict, match="debug sessions are open"):
        await begun(sessions)
    await sessions.end(state.id, person="eve")
    await begun(sessions)


async def test_a_session_that_nobody_speaks_to_ends(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.authoring.debug.session.IDLE_SECONDS", 0.05)
    state = await begun(sessions)
    async with asyncio.timeout(10):
        while sessions.state(state.id, person="eve").standing != "over":  # nothing says when
            await asyncio.sleep(0.02)
    assert "nobody said anything" in str(sessions.state(state.id, person="eve").error)
