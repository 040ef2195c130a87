"""Floods of questions: few mails, from which every question is reached and decided as shown."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from pydantic import SecretStr
from temporalio.testing import ActivityEnvironment

from orchestrator.approvals.batches.views import list_batches
from orchestrator.approvals.decide import decide
from orchestrator.approvals.reminders import send_due_reminders
from orchestrator.contracts.approval import AskReply, AskRequest
from orchestrator.contracts.run import StepRef
from orchestrator.domain.access import Principal, Role
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.notification import NotificationState
from orchestrator.engine.activities.ask import AskPeople
from orchestrator.engine.run_context import run_context
from orchestrator.intake.sources import add_source
from orchestrator.notifications.sender import send_due
from orchestrator.playbook.plan import FormField
from orchestrator.registry.publish import publish_playbook
from orchestrator.store.queries import runs
from orchestrator.store.tables import DecisionRow, RunRow
from tests.harness.notification_world import World
from tests.intake.test_accept import EVE, TOKEN, beacon, playbook, send

ADA = Principal(key_id="k6", person="ada", roles=(Role.ADMIN,), groups=("leads",))


async def ask(world: World, run_id: str, **more: Any) -> AskReply:
    """Ask in a run, as its workflow does."""
    async with world.rt.store.read() as session:
        run = await runs.get(session, run_id)
    assert run is not None
    asking = {
        "ref": StepRef(run=run_context(run), path="block", seq=1),
        "kind": "change",
        "question": f"Block for {run_id}?",
        "within": 900,
        "by": "leads",
        "changes": (),
    }
    return await ActivityEnvironment().run(AskPeople(world.rt).ask, AskRequest(**asking | more))


async def start(world: World, count: int, severity: int = 3, **more: Any) -> list[AskReply]:
    """Start runs of one source, ask in each, and deliver what is due at once.

    What is due together is sent in no order, and the last mail would be any of them.
    """
    asked = []
    for number in range(count):
        run = RunRow(
            id=f"run_{severity}_{number}",
            playbook="c2",
            version=3,
            plan_digest="p",
            source="edge",
            severity=severity,
            status="running",
            started_by="source:edge",
            created_at=world.now[0],
            dispatched=True,
        )
        async with world.rt.store.write() as session:
            session.add(run)
        asked.append(await ask(world, run.id, **more))
    await deliver(world)
    return asked


async def deliver(world: World) -> None:
    """Send everything that is due."""
    while await send_due(world.rt):
        pass


def mails(world: World, person: str = "ann") -> list[Any]:
    return [mail for mail in world.mail.taken if mail["To"] == f"{person}@corp.example"]


def ticked(page: str) -> list[str]:
    return [unescape(each) for each in re.findall(r'name="item" value="([^"]+)"', page)]


@pytest.mark.attack(
    "send 60 alerts in one body, each of which asks",
    before="59 questions in the list, and 120 mails to two people",
)
async def test_a_body_of_60_alerts_is_one_question_and_two_mails(world: World) -> None:
    await add_source(world.rt, "ids", "suricata", "bearer", SecretStr(TOKEN), actor="person:pat")
    await publish_playbook(world.rt, playbook(), "p.yaml", actor="person:pat")
    alerts = [
        beacon(
            number,
            dest_ip=f"203.0.113.{number}",
            flow={**EVE["flow"], "dest_ip": f"203.0.113.{number}"},
        )
        for number in range(1, 61)
    ]
    accepted = await send(world.rt, alerts)
    assert len(accepted.run_ids) == 60
    for run_id in accepted.run_ids:
        await ask(world, run_id)
        world.later(seconds=0.2)
        await deliver(world)
    world.later(minutes=2)
    await deliver(world)
    assert {person: len(mails(world, person)) for person in ("ann", "bob")} == {"ann": 2, "bob": 2}
    (batch,) = (await list_batches(world.rt, principal=ADA)).items
    assert batch.count == 60
    digest = mails(world)[-1]
    body = digest.get_body(("plain",)).get_content()
    assert "60 questions of block-beacon version 1" in digest["Subject"]
    assert "- and 40 more on the page" in body
    page = (await world.browser.get(world.link())).text
    assert len(ticked(page)) == 60
    done = await world.browser.post(
        world.link(), data={"decision": "decline", "item": ticked(page), "comment": "a scan"}
    )
    assert "60 of 60 questions are decided." in done.text
    async with world.rt.store.read() as session:
        decision = await session.get(DecisionRow, (batch.items[0].id, "ann"))
    assert decision is not None and (decision.via, decision.comment) == ("email", "a scan")


async def test_what_joins_after_the_mail_gets_a_mail_of_its_own(world: World) -> None:
    await start(world, 3)
    world.later(minutes=1)
    await deliver(world)
    assert len(mails(world)) == 2
    page = (await world.browser.get(world.link())).text
    late = await start(world, 1, severity=2)
    done = await world.browser.post(
        world.link(), data={"decision": "approve", "item": ticked(page)}
    )
    assert done.status_code == 200
    assert await world.state(late[0].approval_id) == "pending"
    world.later(minutes=4)
    await deliver(world)
    assert len(mails(world)) == 3
    assert "Block for run_2_0?" in (await world.browser.get(world.link())).text


@pytest.mark.attack(
    "hide a severe alert among many tame ones of the same source",
    before="its question was one of many mails; a gathered one would come late",
)
async def test_a_more_severe_question_is_sent_at_once(world: World) -> None:
    await start(world, 5, severity=2)
    await start(world, 5, severity=5)
    subjects = [mail["Subject"] for mail in mails(world)]
    assert len(subjects) == 2 and "Block for run_5_0?" in subjects[1]
    world.later(minutes=1)
    await deliver(world)
    page = (await world.browser.get(world.link())).text
    assert page.index("Block for run_5_4?") < page.index("Block for run_2_4?")


async def test_only_ticked_questions_are_decided_and_each_by_its_own_rules(world: World) -> None:
    asked = await start(world, 4)
    world.later(minutes=1)
    await deliver(world)
    items = ticked((await world.browser.get(world.link())).text)
    await decide(world.rt, None, asked[0].approval_id, ADA, "decline", asked[0].digest)
    wrong = f"{asked[1].approval_id} {'0' * 64}"
    foreign = "apr_none d"
    shown = [
        each
        for each in items
        if asked[3].approval_id not in each and asked[1].approval_id not in each
    ]
    done = await world.browser.post(
        world.link(), data={"decision": "approve", "item": [*shown, wrong, foreign]}
    )
    assert "1 of 4 questions are decided." in done.text and "already declined" in done.text
    states = [await world.state(each.approval_id) for each in asked]
    assert states == ["declined", "pending", "approved", "pending"]
    again = await world.browser.get(world.link())
    assert again.status_code == 410 and "link was used" in again.text


async def test_a_link_that_decided_nothing_can_be_used_again(world: World) -> None:
    asked = await start(world, 3)
    world.later(minutes=1)
    await deliver(world)
    none = await world.browser.post(world.link(), data={"decision": "approve"})
    assert none.status_code == 409 and "tick at least one" in none.text
    wrong = await world.browser.post(
        world.link(), data={"decision": "approve", "item": f"{asked[0].approval_id} d"}
    )
    assert wrong.status_code == 409 and "the digest does not match" in wrong.text
    items = ticked((await world.browser.get(world.link())).text)
    assert len(items) == 3
    for each in asked:
        await decide(world.rt, None, each.approval_id, ADA, "decline", each.digest)
    over = await world.browser.post(world.link(), data={"decision": "approve", "item": items})
    assert over.status_code == 410
    assert len(await world.events(EventKind.APPROVAL_DECIDED)) == 3


async def test_one_question_that_is_left_is_shown_alone(world: World) -> None:
    asked = await start(world, 3)
    for each in asked[:2]:
        await decide(world.rt, None, each.approval_id, ADA, "decline", each.digest)
    world.later(minutes=1)
    await deliver(world)
    assert "Block for run_3_2?" in mails(world)[-1]["Subject"]
    done = await world.post(world.link(), digest=asked[2].digest, change=[])
    assert done.status_code == 200
    assert await world.state(asked[2].approval_id) == "approved"


async def test_a_form_of_the_page_fills_in_every_ticked_question(world: World) -> None:
    form = {"sure": FormField(type="boolean", label="Sure", required=True)}
    asked = await start(world, 2, kind="form", form=form)
    asked += await start(world, 1, severity=2, kind="form", form=form)
    world.later(minutes=1)
    await deliver(world)
    page = (await world.browser.get(world.link())).text
    assert "Form, for each ticked question" in page
    done = await world.browser.post(
        world.link(), data={"decision": "approve", "item": ticked(page), "field.sure": "true"}
    )
    assert "3 of 3 questions are decided." in done.text
    async with world.rt.store.read() as session:
        decision = await session.get(DecisionRow, (asked[0].approval_id, "ann"))
    assert decision is not None and decision.form == {"sure": True}


async def test_reminders_of_a_batch_are_one_mail(world: World) -> None:
    await start(world, 10)
    world.later(minutes=1)
    await deliver(world)
    world.later(minutes=4)
    assert await send_due_reminders(world.rt, 50) == 10
    world.later(minutes=2)
    await deliver(world)
    subjects = [mail["Subject"] for mail in mails(world)]
    assert len(subjects) == 3
    assert "Still open: 10 questions of c2 version 3" in subjects[-1]
    assert len(ticked((await world.browser.get(world.link())).text)) == 10


async def test_an_escalation_is_sent_at_once(world: World) -> None:
    await start(world, 3)
    await ask(world, "run_3_0", escalated=True, level=1)
    await deliver(world)
    assert "Escalated to you: " in mails(world)[-1]["Subject"]


async def test_gathering_never_takes_more_than_a_quarter_of_the_time(world: World) -> None:
    await start(world, 2, within=60)
    world.later(seconds=15)
    await deliver(world)
    assert len(mails(world)) == 2


async def test_slack_lists_the_questions_and_says_when_all_are_over(world: World) -> None:
    asked = await start(world, 3)
    world.later(minutes=1)
    await deliver(world)
    (batch,) = (await list_batches(world.rt, principal=ADA)).items
    (row,) = await world.notifications(about=batch.id, channel="slack")
    assert row.state is NotificationState.SENT
    sent = str(world.slack.messages)
    assert f"tocsin approval approve {batch.id}" in sent
    for each in asked:
        await decide(world.rt, None, each.approval_id, ADA, "decline", each.digest)
    await deliver(world)
    assert "every question is answered or over" in str(world.slack.messages)
    late = await world.browser.get(world.link())
    assert late.status_code in {409, 410}


async def test_a_mail_that_is_being_sent_takes_no_more_questions(world: World) -> None:
    await start(world, 2)
    world.mail.answers = ["451 later"] * 50
    world.later(minutes=1)
    await deliver(world)
    await start(world, 1, severity=2)
    world.mail.answers = []
    world.later(minutes=4)
    await deliver(world)
    rows = await world.notifications(person="ann", channel="email")
    assert len([row for row in rows if row.about.startswith("bat_")]) == 2
    assert {row.state for row in rows} == {NotificationState.SENT}
    assert len(ticked((await world.browser.get(world.link())).text)) == 3
