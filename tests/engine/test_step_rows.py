"""Each step has a row from its beginning, which says what the step waits for."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from orchestrator.approvals.decide import decide
from orchestrator.approvals.views import get_approval
from orchestrator.domain.access import Principal, Role
from orchestrator.domain.approval import DecisionType
from orchestrator.domain.change import Effect
from orchestrator.domain.run import (
    WaitingForApproval,
    WaitingForEvent,
    WaitingForRetry,
    WaitingForTime,
)
from orchestrator.playbook.plan import (
    Approve,
    Ask,
    FormField,
    Parallel,
    Repeat,
    Retry,
    Use,
    Wait,
)
from orchestrator.runs.lifecycle import cancel_run, retry_run
from orchestrator.runs.queries import get_run
from tests.harness.temporal_rig import on_temporal, start_plan, until_ended, until_step

ANN = Principal(key_id="k1", person="ann", roles=(Role.APPROVER,))
FIND = Use(
    id="find",
    connection="edr",
    capability="edr",
    action="find_host",
    effect=Effect.READ,
    inputs={"host": "ws-042"},
)
BLOCK = Use(
    id="block",
    connection="firewall",
    capability="firewall",
    action="block_address",
    effect=Effect.CONTAIN,
    inputs={"address": "198.51.100.7"},
    hold=3600,
)


async def test_throttled_read_says_when_it_is_tried_again(tmp_path: Path) -> None:
    async with on_temporal(tmp_path) as (made, client):
        made.worlds["edr"].inject(kind="status", status=429, retry_after=45)
        inside = Parallel(id="both", steps=(FIND.model_copy(update={"retry": Retry(attempts=3)}),))
        await start_plan(made, client, inside)
        step = await until_step(made, "both/find", lambda each: each.state == "waiting")
        waiting = step.waiting_for
        assert isinstance(waiting, WaitingForRetry)
        assert (waiting.attempt, waiting.attempts) == (1, 3)
        assert "429" in waiting.error
        assert waiting.retry_at - step.started_at >= timedelta(seconds=45)
        block = await until_step(made, "both", lambda each: each.state == "running")
        assert block.started_at <= step.started_at
        await cancel_run(made.rt, client, "run_s", actor="person:ann")
        await until_ended(client)
        states = {each.id: each.state for each in (await get_run(made.rt, "run_s")).steps}
        assert states == {"both": "interrupted", "both/find": "interrupted"}


async def test_change_says_that_it_is_tried_again_while_its_device_is_away(tmp_path: Path) -> None:
    async with on_temporal(tmp_path) as (made, client):
        made.worlds["firewall"].inject(kind="status", status=503, times=2)
        await start_plan(made, client, BLOCK.model_copy(update={"retry": Retry(wait=1)}))
        step = await until_step(
            made,
            "block",
            lambda each: (
                isinstance(each.waiting_for, WaitingForRetry) and each.waiting_for.attempt == 2
            ),
        )
        assert step.state == "waiting"
        await until_ended(client)
        (step,) = (await get_run(made.rt, "run_s")).steps
        assert (step.state, step.waiting_for) == ("verified", None)


async def test_slow_lookup_is_running(tmp_path: Path) -> None:
    async with on_temporal(tmp_path) as (made, client):
        made.worlds["edr"].inject(kind="latency", seconds=3)
        await start_plan(made, client, FIND)
        step = await until_step(made, "find", lambda each: each.state == "running")
        assert (step.action, step.ended_at) == ("find_host", None)
        await until_ended(client)


async def test_steps_wait_for_people(tmp_path: Path) -> None:
    ask = Ask(
        id="why",
        question="Why?",
        form={"why": FormField(type="text", label="Why")},
        within=900,
    )
    group = Parallel(id="group", steps=(BLOCK,), approve=Approve(question="Block it?"))
    async with on_temporal(tmp_path) as (made, client):
        await start_plan(made, client, ask, group)
        for path in ("why", "group"):
            step = await until_step(made, path, lambda each: each.state == "waiting")
            assert isinstance(step.waiting_for, WaitingForApproval)
            answer = {"why": "test"} if path == "why" else None
            approval = await get_approval(made.rt, step.waiting_for.approval_id)
            await decide(
                made.rt,
                client,
                approval.id,
                ANN,
                DecisionType.APPROVE,
                approval.digest,
                form=answer,
            )
        await until_ended(client)
        steps = {each.id: each for each in (await get_run(made.rt, "run_s")).steps}
        assert {path: each.state for path, each in steps.items()} == {
            "why": "done",
            "group": "done",
            "group/block": "verified",
        }
        assert steps["group"].started_at < steps["group/block"].started_at


async def test_change_that_people_are_asked_about_waits(tmp_path: Path) -> None:
    async with on_temporal(tmp_path) as (made, client):
        await start_plan(
            made, client, BLOCK.model_copy(update={"approve": Approve(question="Block it?")})
        )
        step = await until_step(made, "block", lambda each: each.state == "waiting")
        assert isinstance(step.waiting_for, WaitingForApproval)
        assert step.planned_change is not None
        await cancel_run(made.rt, client, "run_s", actor="person:ann")
        await until_ended(client)
        (step,) = (await get_run(made.rt, "run_s")).steps
        assert (step.state, step.waiting_for) == ("interrupted", None)


async def test_waits_say_until_when_and_again_in_the_next_attempt(tmp_path: Path) -> None:
    rounds = Repeat(id="rounds", steps=(FIND,), until="steps.find is none", at_most=2, every=600)
    waits = (
        rounds,
        Wait(id="pause", seconds=1200),
        Wait(id="more", event="event.severity == 5", within=1800),
    )
    async with on_temporal(tmp_path) as (made, client):
        await start_plan(made, client, Parallel(id="all", steps=waits))
        for attempt in (1, 2):
            starts = []
            for name, seconds in (("rounds", 600), ("pause", 1200), ("more", 1800)):
                step = await until_step(
                    made,
                    f"all/{name}",
                    lambda each, wanted=attempt: each.attempt == wanted and each.state == "waiting",
                )
                kind = WaitingForEvent if name == "more" else WaitingForTime
                assert isinstance(step.waiting_for, kind)
                assert step.waiting_for.expires_at - step.started_at >= timedelta(seconds=seconds)
                starts.append(step.started_at)
            whole = await until_step(made, "all", lambda each: each.state == "running")
            assert whole.started_at <= min(starts)
            await cancel_run(made.rt, client, "run_s", actor="person:ann")
            await until_ended(client, attempt)
            ended = await get_run(made.rt, "run_s")
            if attempt == 1:
                await retry_run(made.rt, client, "run_s", actor="person:ann")
        first = min(step.started_at for step in ended.steps if step.attempt == 1)
        assert all(step.started_at > first for step in ended.steps if step.attempt == 2)
