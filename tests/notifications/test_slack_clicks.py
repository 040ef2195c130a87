"""Slack clicks: a signed button decides once for its person, and the worker sends the reply."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.slack.emulator import sign_headers
from orchestrator.access import keys
from orchestrator.connections import manage as connections
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict
from orchestrator.notifications import contacts
from orchestrator.notifications.sender import send_due
from orchestrator.store.tables import DecisionRow
from tests.harness.notification_world import CHANGE, HOLDERS, RESTORE, World

ANN, ANNS_CHANNEL = "U0ANALYST01", "D0ANALYST01"


def asked(world: World) -> dict[str, Any]:
    return world.slack.messages[ANNS_CHANNEL][-1]


async def click(world: World, action: str = "approve", user: str = ANN, **more: Any) -> Any:
    at = int(world.now[0].timestamp())
    headers, body = world.slack.click(user, ANNS_CHANNEL, asked(world)["ts"], action, at=at)
    return await world.browser.post(
        "/v1/slack/interactions",
        content=more.get("body", body),
        headers={**headers, **more.get("headers", {})},
    )


async def test_the_button_approves(world: World) -> None:
    await world.ask()
    texts = [
        block["text"]["text"] for block in asked(world)["blocks"] if block["type"] == "section"
    ]
    assert texts[0] == "Approval needed:\n&gt; Block it?"
    change, *_ = texts[1].split("\n")
    assert change == "firewall.block_address on address 198.51.100.7: “Tag it”"
    reply = await click(world)
    assert (reply.status_code, reply.json()["response_type"], await world.state()) == (
        200,
        "ephemeral",
        "approved",
    )
    text = "Recorded. The request is approved."
    assert reply.json()["text"] == text
    assert world.slack.ephemeral == []  # the API process does not call Slack
    await send_due(world.rt)
    assert world.slack.ephemeral == [{"channel": ANNS_CHANNEL, "user": ANN, "text": text}]
    async with world.rt.store.read() as session:
        decision = await session.get(DecisionRow, ("apr_1", "ann"))
    assert decision is not None and decision.via == "slack"


async def test_the_message_of_a_decided_approval_has_no_button(world: World) -> None:
    await world.ask()
    before = len(world.slack.messages[ANNS_CHANNEL])
    await click(world)
    await send_due(world.rt)
    assert len(world.slack.messages[ANNS_CHANNEL]) == before
    assert [block["type"] for block in asked(world)["blocks"]] == ["section", "section"]
    assert asked(world)["blocks"][1]["text"]["text"] == "Approved by ann, 2026-03-04 05:06 UTC."
    await world.close()
    assert not await send_due(world.rt)


async def test_a_click_counts_once(world: World) -> None:
    await world.ask(quorum=2)
    at = int(world.now[0].timestamp())
    headers, body = world.slack.click(ANN, ANNS_CHANNEL, asked(world)["ts"], "approve", at=at)
    replies = [
        await world.browser.post("/v1/slack/interactions", content=body, headers=headers)
        for _ in range(3)
    ]
    assert [reply.status_code for reply in replies] == [200, 401, 401]
    world.later(seconds=1)
    assert "has already decided" in (await click(world, "decline")).json()["text"]
    assert await world.state() == "pending"


@pytest.mark.parametrize("seconds", [-301, 301, 3600])
async def test_an_old_click_is_rejected(world: World, seconds: int) -> None:
    await world.ask()
    headers, body = world.slack.click(
        ANN, ANNS_CHANNEL, asked(world)["ts"], "approve", at=int(world.now[0].timestamp()) + seconds
    )
    assert (
        await world.browser.post("/v1/slack/interactions", content=body, headers=headers)
    ).status_code == 401
    assert await world.state() == "pending"


async def test_an_unsigned_click_is_rejected_and_recorded(world: World) -> None:
    await world.ask()
    at = int(world.now[0].timestamp())
    headers, body = world.slack.click(ANN, ANNS_CHANNEL, asked(world)["ts"], "approve", at=at)
    forged: list[tuple[bytes, Any]] = [
        (body + b"&x=1", headers),
        (body, {**headers, "X-Slack-Signature": ""}),
        (body, {**headers, "X-Slack-Request-Timestamp": "x"}),
        (body, {**headers, "X-Slack-Request-Timestamp": str(at + 1)}),
        (body, {**headers, "X-Slack-Request-Timestamp": "\u0663".encode()}),
        (body, sign_headers(body, at, secret="another-secret")),
        (
            body,
            {**headers, "X-Slack-Signature": headers["X-Slack-Signature"].replace("v0=", "v1=")},
        ),
        (body, {}),
    ]
    for content, sent in forged:
        assert (
            await world.browser.post("/v1/slack/interactions", content=content, headers=sent)
        ).status_code == 401
    assert await world.state() == "pending"
    refused = await world.events(EventKind.ACCESS_REFUSED)
    assert {event.subject for event in refused} == {"POST /v1/slack/interactions"}


async def test_a_slack_user_without_a_contact_decides_nothing_and_learns_why(world: World) -> None:
    await world.ask()
    for user, message in (
        ("U0STRANGER1", "no contact has this Slack user"),
        ("U0LEADER001", "eve has no API key that permits decisions"),
    ):
        reply = await click(world, user=user)
        assert (reply.status_code, message in reply.json()["text"]) == (200, True)
    assert await world.state() == "pending"
    refused = await world.events(EventKind.APPROVAL_REFUSED)
    assert [event.actor for event in refused] == ["person:eve", "slack:U0STRANGER1"]


async def test_a_person_without_a_key_decides_nothing(world: World) -> None:
    await world.ask()
    await keys.revoke_key(world.rt, world.key_ids["ann"], actor="system")
    assert "Not recorded: " in (await click(world)).json()["text"]
    assert await world.state() == "pending"


async def test_a_signed_body_that_is_not_a_click_is_rejected(world: World) -> None:
    at = int(world.now[0].timestamp())
    deep = b"payload=" + b"[" * 5000
    for body in (
        b"",
        b"payload=",
        b"payload={}",
        b"payload=%ff",
        b"\xff",
        deep,
        b'payload={"type":"view_submission"}',
    ):
        reply = await world.browser.post(
            "/v1/slack/interactions", content=body, headers=sign_headers(body, at)
        )
        assert reply.status_code == 422, body


async def test_without_a_signing_secret_clicks_are_rejected(world: World) -> None:
    await connections.save_connection(
        world.rt,
        "chat",
        "slack",
        {"base_url": "http://127.0.0.1:1", "bot_token": "x"},
        actor="system",
        check=False,
    )
    body = b"payload={}"
    for secret in ("", "None", "lab-signing-secret"):
        sent = sign_headers(body, int(world.now[0].timestamp()), secret=secret)
        assert (
            await world.browser.post("/v1/slack/interactions", content=body, headers=sent)
        ).status_code == 404


async def test_a_message_that_does_not_show_all_changes_has_no_button(world: World) -> None:
    await world.ask(changes=[{**CHANGE, "digest": f"c{number}"} for number in range(11)])
    assert all(block["type"] == "section" for block in asked(world)["blocks"])
    assert "Buttons cannot answer" in asked(world)["blocks"][-1]["text"]["text"]


async def test_a_message_that_does_not_show_all_leases_has_no_button(world: World) -> None:
    many = [{**HOLDERS[0], "lease": f"run_{number}/block"} for number in range(40)]
    await world.ask(changes=[{**RESTORE, "holders": many}])
    assert all(block["type"] == "section" for block in asked(world)["blocks"])
    assert "Buttons cannot answer" in asked(world)["blocks"][-1]["text"]["text"]


async def test_hostile_text_cannot_mention_or_link(world: World) -> None:
    await world.ask(question="<!channel> <https://evil.example|click> & \u202e", reasons=["<@U1>"])
    for block in asked(world)["blocks"][:-1]:
        assert block["text"]["type"] == "plain_text"
        assert not {"<", ">", "\u202e"} & set(block["text"]["text"])
    assert "<" not in asked(world)["text"]


async def test_a_slack_outage_is_retried(world: World) -> None:
    world.slack.inject(kind="status", match="chat.postMessage", status=503)
    await world.ask()
    (row,) = await world.notifications(channel="slack")
    assert (row.state, row.attempts) == ("waiting", 1)
    world.later(minutes=1)
    await send_due(world.rt)
    (row,) = await world.notifications(channel="slack")
    assert (row.state, row.error) == ("sent", None)


async def test_a_slack_user_belongs_to_one_person(world: World) -> None:
    with pytest.raises(Conflict, match="already the contact of ann"):
        await contacts.save_contact(world.rt, "bob", None, ANN, actor="system")


async def test_a_pending_approval_is_reported_with_its_count(world: World) -> None:
    await world.ask(quorum=2)
    assert (await click(world)).json()[
        "text"
    ] == "Recorded. 1 of 2 approvals; the others have until 2026-03-04 05:21 UTC."


async def test_a_reply_that_slack_cannot_take_is_given_up_soon(world: World) -> None:
    await world.ask(quorum=2)
    world.slack.inject(kind="status", match="chat.postEphemeral", status=503, times=100)
    await click(world)
    for _ in range(10):
        await send_due(world.rt)
        world.later(minutes=1)
    (row,) = await world.notifications(kind="reply")
    assert (row.state, world.slack.ephemeral) == ("failed", [])
