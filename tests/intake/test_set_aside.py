"""A trigger over its budget is set aside with a task, and every other playbook goes on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from orchestrator.domain.audit_event import EventKind
from orchestrator.incidents.set_aside_playbooks import open_tasks
from orchestrator.incidents.tasks import close_task, list_tasks
from orchestrator.intake.matching import triggers
from orchestrator.intake.sources import add_source
from orchestrator.registry.publish import get_playbook, publish_playbook
from orchestrator.registry.versions import reinstate
from orchestrator.runtime import Runtime
from orchestrator.store.tables import AlertRow, IncidentRow
from tests.harness.databases import opened
from tests.intake.test_accept import TOKEN, beacon, of_host, playbook, rows, send, trail

ANN = "person:ann"
HEAVY = " or ".join(["(alert | json | length) < 1"] * 20)


@pytest.fixture
async def rt(tmp_path: Path) -> AsyncIterator[Runtime]:
    async with opened(tmp_path, None) as [runtime]:
        await add_source(runtime, "ids", "suricata", "bearer", SecretStr(TOKEN), actor=ANN)
        yield runtime


async def publish(rt: Runtime, name: str, **given: str | int) -> None:
    text = playbook(**given).replace("block-beacon", name)
    await publish_playbook(rt, text, "p.yaml", actor=ANN)


async def publish_both(rt: Runtime, when: str = HEAVY) -> None:
    await publish(rt, "block-beacon")
    await publish(rt, "heavy", when=when)


@pytest.mark.attack(
    "publish a trigger that costs seconds per alert",
    before="four legal triggers cost 2.9 s per alert inside the write transaction",
)
async def test_set_aside_version_has_one_task_until_it_is_published_again(
    rt: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triggers, "TRIGGER_STEPS", 400)
    await publish_both(rt)
    done = await send(rt, beacon(1))
    assert done.matched == ("block-beacon",)
    [accepted] = await trail(rt, EventKind.ALERT_ACCEPTED)
    assert "exceeded its budget of 400 steps" in accepted["triggers_failed"]["heavy"]
    assert len(await trail(rt, EventKind.PLAYBOOK_SET_ASIDE)) == 1
    assert (await get_playbook(rt, "heavy")).set_aside_at is not None

    again = await send(rt, beacon(2))
    assert again.matched == ("block-beacon",)
    assert "triggers_failed" not in (await trail(rt, EventKind.ALERT_ACCEPTED))[-1]

    assert (await open_tasks(rt), await open_tasks(rt)) == (1, 0)
    [task] = (await list_tasks(rt)).items
    assert (task.kind, task.subject) == ("set_aside_playbook", "heavy@1")
    assert "exceeded its budget" in task.summary

    monkeypatch.undo()
    text = playbook(when=HEAVY).replace("block-beacon", "heavy")
    published = await publish_playbook(rt, text, "p.yaml", actor=ANN)
    assert published.outcome == "resumed"
    assert (await list_tasks(rt)).items == []
    assert (await get_playbook(rt, "heavy")).set_aside_at is None


async def test_closed_task_comes_back_only_when_the_version_is_set_aside_again(
    rt: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triggers, "TRIGGER_STEPS", 400)
    await publish_both(rt)
    await send(rt, beacon(1))
    await open_tasks(rt)
    [task] = (await list_tasks(rt)).items
    await close_task(rt, task.id, comment="seen", actor=ANN)
    assert await open_tasks(rt) == 0
    await reinstate(rt, "heavy", 1, actor=ANN)
    assert (await get_playbook(rt, "heavy")).set_aside_at is None


async def test_newer_version_closes_the_task_of_the_older(
    rt: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triggers, "TRIGGER_STEPS", 400)
    await publish_both(rt)
    await send(rt, beacon(1))
    await open_tasks(rt)
    await publish(rt, "heavy", version=2)
    assert (await list_tasks(rt)).items == []
    assert set((await send(rt, beacon(2))).matched) == {"block-beacon", "heavy"}


async def test_older_version_does_not_take_over_from_one_that_is_set_aside(
    rt: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publish(rt, "heavy")
    await publish(rt, "heavy", version=2, when=HEAVY)
    monkeypatch.setattr(triggers, "TRIGGER_STEPS", 400)
    for number in (1, 2):
        assert (await send(rt, beacon(number))).matched == ()


async def test_all_alerts_of_a_body_share_a_budget(
    rt: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publish(rt, "block-beacon", once_per="${{ alert.id }}")
    monkeypatch.setattr(triggers, "BODY_STEPS", 60)
    monkeypatch.setattr(triggers, "MANY_STEPS", 2)
    done = await send(rt, many_alerts())
    assert 0 < len(done.run_ids) < 40
    [event] = await trail(rt, EventKind.PLAYBOOK_SET_ASIDE)
    assert "of 60 steps for one body" in event["reason"]


@pytest.mark.attack(
    "send a body of so many alerts that every trigger is set aside",
    before="the versions started no more runs",
)
async def test_number_of_alerts_sets_no_version_aside(
    rt: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publish(rt, "block-beacon", once_per="${{ alert.id }}")
    monkeypatch.setattr(triggers, "BODY_STEPS", 60)
    assert len((await send(rt, many_alerts())).run_ids) == 40
    assert await trail(rt, EventKind.PLAYBOOK_SET_ASIDE) == []


def many_alerts() -> bytes:
    return "\n".join(json.dumps(beacon(number)) for number in range(40)).encode()


async def test_other_requests_are_answered_while_triggers_are_evaluated(
    rt: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triggers, "_YIELD_STEPS", 10)
    await publish_both(rt, when="alert.class == 'c2_beacon'")
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    writing = rt.store._writer
    seen: list[bool] = []
    original = triggers.TriggerResults._match

    def watched(self: Any, *arguments: Any) -> Any:
        seen.append(writing.locked())
        return original(self, *arguments)

    monkeypatch.setattr(triggers.TriggerResults, "_match", watched)
    other = asyncio.create_task(count_turns())
    await send(rt, "\n".join(json.dumps(beacon(number)) for number in range(30)).encode())
    other.cancel()
    assert turns > 30
    assert seen
    assert not any(seen), "a trigger was evaluated inside the write transaction"


async def test_bodies_that_open_the_same_incident_at_once_agree_on_it(rt: Runtime) -> None:
    await publish(rt, "block-beacon", once_per="${{ alert.incident_id }}")
    bodies = [beacon(number, **of_host(number % 3)) for number in range(12)]
    done = await asyncio.gather(*(send(rt, body) for body in bodies))
    assert len({each.alerts[0].incident_id for each in done}) == 3
    assert len(await rows(rt, IncidentRow)) == 3
    assert sum(len(each.run_ids) for each in done) == 3
    for row in await rows(rt, AlertRow):
        assert row.view["incident_id"] == row.incident_id
