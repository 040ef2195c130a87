"""One-time links: each decides once, in time, for its person; opening it decides nothing."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from typing import Any

import pytest

from orchestrator.access import keys
from orchestrator.domain.audit_event import EventKind
from orchestrator.notifications import contacts
from orchestrator.store.tables import DecisionRow
from tests.harness.notification_world import CHANGE, World


async def test_the_link_in_the_mail_approves(world: World) -> None:
    await world.ask()
    page = await world.browser.get(world.link())
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert (
        "Block it?" in page.text and "firewall.block_address" in page.text and "Tag it" in page.text
    )
    assert "s3cret" not in page.text
    done = await world.post(world.link())
    assert (done.status_code, await world.state()) == (200, "approved")
    async with world.rt.store.read() as session:
        decision = await session.get(DecisionRow, ("apr_1", "ann"))
    assert decision is not None
    assert (decision.via, decision.key_id, decision.decision) == (
        "email",
        world.key_ids["ann"],
        "approve",
    )


async def test_a_mail_scanner_decides_nothing_and_is_recorded_once(
    world: World,
) -> None:
    await world.ask()
    for method in ("GET", "HEAD", "GET", "GET", "HEAD", "GET"):
        assert (await world.browser.request(method, world.link())).status_code == 200
    assert await world.state() == "pending"
    (opened,) = await world.events(EventKind.LINK_OPENED)
    assert (opened.actor, opened.subject) == ("person:ann", "apr_1")
    assert (await world.post(world.link())).status_code == 200


async def test_options_says_what_a_link_allows_and_decides_nothing(world: World) -> None:
    await world.ask()
    reply = await world.browser.options(world.link())
    assert (reply.status_code, reply.content) == (204, b"")
    assert {"GET", "POST"} <= set(reply.headers["allow"].split(", "))
    assert await world.state() == "pending"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_other_methods_are_rejected(world: World, method: str) -> None:
    await world.ask()
    assert (await world.browser.request(method, world.link())).status_code == 405
    assert await world.state() == "pending"


async def test_a_link_works_once(world: World) -> None:
    await world.ask(quorum=2)
    assert (await world.post(world.link())).status_code == 200
    for again in (await world.post(world.link(), "decline"), await world.browser.get(world.link())):
        assert again.status_code == 410
        assert "link was used" in again.text
    assert await world.state() == "pending"
    refused = await world.events(EventKind.LINK_REFUSED)
    assert len(refused) == 2
    assert (await world.post(world.link("bob"))).status_code == 200
    assert await world.state() == "approved"


async def test_of_concurrent_submissions_one_counts(world: World) -> None:
    await world.ask(quorum=2)
    both = await asyncio.gather(
        *(
            world.post(world.link(), decision)
            for decision in ("approve", "decline", "approve", "decline")
        )
    )
    assert sorted(reply.status_code for reply in both) == [200, 410, 410, 410]


async def test_a_link_expires_with_its_approval(world: World) -> None:
    await world.ask()
    world.later(minutes=15)
    for late in (await world.browser.get(world.link()), await world.post(world.link())):
        assert late.status_code == 410
        assert "expired at 2026-03-04 05:21 UTC" in late.text
    assert await world.state() == "pending"


async def test_a_person_without_a_key_decides_nothing(world: World) -> None:
    await world.ask()
    await keys.revoke_key(world.rt, world.key_ids["ann"], actor="system")
    for refused in (await world.browser.get(world.link()), await world.post(world.link())):
        assert refused.status_code == 403
        assert "no longer has an API key" in refused.text
    assert await world.state() == "pending"


async def test_a_key_that_expired_decides_nothing(world: World) -> None:
    await world.ask(expires_at=world.now[0].replace(year=2027))
    world.later(days=2)
    assert (await world.post(world.link())).status_code == 403
    assert await world.state() == "pending"


async def test_another_digest_decides_nothing_and_keeps_the_link(world: World) -> None:
    await world.ask()
    wrong = await world.post(world.link(), digest="other")
    assert (wrong.status_code, await world.state()) == (409, "pending")
    assert "the digest does not match" in wrong.text
    assert (await world.post(world.link())).status_code == 200


async def test_an_unknown_link_is_rejected(world: World) -> None:
    await world.ask()
    for token in ("x" * 43, "x", "%00x", "a" * 150, world.link()[3:-1] + "!"):
        for reply in (await world.browser.get(f"/a/{token}"), await world.post(f"/a/{token}")):
            assert reply.status_code in {404, 400}
    assert await world.state() == "pending"
    refused = await world.events(EventKind.LINK_REFUSED)
    assert {event.actor for event in refused} == {"anonymous"}
    assert world.link()[3:20] not in str(refused)


async def test_only_ticked_changes_are_approved(world: World) -> None:
    await world.ask()
    assert (await world.post(world.link(), change=[])).status_code == 422
    assert (await world.post(world.link(), change=["c9"])).status_code == 422
    assert (await world.post(world.link(), change=["c2"])).status_code == 200
    async with world.rt.store.read() as session:
        decision = await session.get(DecisionRow, ("apr_1", "ann"))
    assert decision is not None and decision.form == {"changes": ["c2"]}


async def test_the_start_of_a_run_is_approved_by_the_link(
    world: World,
) -> None:
    await world.ask(changes=[], question="Let one more run start?")
    page = (await world.browser.get(world.link())).text
    assert "Let one more run start?" in page
    assert "The run starts." in page
    assert (await world.post(world.link(), change=[])).status_code == 200
    assert await world.state() == "approved"


async def test_a_decided_approval_is_reported_with_its_status(world: World) -> None:
    await world.ask()
    assert (await world.post(world.link("bob"), "decline")).status_code == 200
    late = await world.post(world.link())
    assert (late.status_code, "already declined" in late.text) == (409, True)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "null", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "https://tocsin.example"}, 200),
    ],
)
async def test_a_form_of_another_site_is_rejected(
    world: World, headers: dict[str, str], status: int
) -> None:
    await world.ask()
    assert (await world.post(world.link(), headers=headers)).status_code == status


async def test_hostile_text_is_shown_as_text(world: World) -> None:
    hostile = (
        '<script>alert(1)</script>"><img src=x onerror=alert(1)>\u202etxt.exe\u0007 {{ 123*457 }}'
    )
    planned_change = {
        **CHANGE["planned_change"],
        "summary": hostile,
        "target": {"type": "address", "value": hostile},
    }  # type: ignore[dict-item]
    change = {
        **CHANGE,
        "planned_change": planned_change,
        "input": {"address": hostile},
        "digest": "c1",
    }
    await world.ask(question=hostile + "x" * 9000, reasons=[hostile], changes=[change])
    page = await world.browser.get(world.link())
    assert page.text.count("<script") == page.text.count("<img") == 0
    assert "\u202e" not in page.text and "\u0007" not in page.text and "56211" not in page.text
    assert len(page.text) < 20_000
    html: Any = world.mail.taken[0].get_body(("html",))
    assert (
        "<script" not in html.get_content()
        and "<img" not in html.get_content()
        and "\u202e" not in html.get_content()
    )


async def test_the_page_loads_nothing_and_is_not_cached(world: World) -> None:
    await world.ask()
    page = await world.browser.get(world.link())
    headers = page.headers
    (style,) = re.findall(
        r"<style>(.*?)</style>", page.text, re.DOTALL
    )  # the one that is allowed, by its hash; nothing else is
    assert (
        f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'"
        in headers["content-security-policy"]
    )
    assert not re.search(r"\son\w+=|\sstyle=|javascript:|<script|<link|<img|<iframe", page.text)
    assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert "form-action 'self'" in headers["content-security-policy"]
    assert (headers["referrer-policy"], headers["cache-control"], headers["x-frame-options"]) == (
        "no-referrer",
        "no-store",
        "DENY",
    )


async def test_a_changed_contact_ends_the_links_to_the_old_address(world: World) -> None:
    await world.ask()
    await contacts.save_contact(world.rt, "ann", "ann@elsewhere.example", None, actor="system")
    assert (await world.post(world.link())).status_code == 410
    await contacts.remove_contact(world.rt, "bob", actor="system")
    assert (await world.post(world.link("bob"))).status_code == 410
    assert await world.state() == "pending"


async def test_a_form_is_filled_in_on_the_page(world: World) -> None:
    form = {
        "why": {"type": "text", "label": "Why", "required": True, "choices": []},
        "count": {"type": "integer", "label": "How many", "required": False, "choices": []},
        "level": {
            "type": "choice",
            "label": "Level",
            "required": False,
            "choices": ["low", "high"],
        },
        "sure": {"type": "boolean", "label": "Sure", "required": False, "choices": []},
    }
    await world.ask(kind="form", form=form, changes=[])
    page = await world.browser.get(world.link())
    assert all(f'name="field.{name}"' in page.text for name in form)
    assert (await world.post(world.link())).status_code == 422
    filled = {"field.why": "seen", "field.count": "3", "field.level": "", "field.sure": "true"}
    done = await world.post(world.link(), **filled)
    assert done.status_code == 200, done.text
    async with world.rt.store.read() as session:
        decision = await session.get(DecisionRow, ("apr_1", "ann"))
    assert decision is not None and decision.form == {
        "why": "seen",
        "count": 3,
        "level": None,
        "sure": True,
    }
