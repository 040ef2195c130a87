"""Briefing: every channel shows all that a person decides on, and hostile text only as text."""

from __future__ import annotations

import html
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestrator.approvals.views import get_approval
from orchestrator.briefing.plain_text import defang
from orchestrator.domain.notification import NotificationKind
from orchestrator.notifications.contacts import list_contacts
from orchestrator.store.tables import AlertRow, AssetRow, DecisionRow, RunRow
from tests.harness.notification_world import CHANGE, HOLDERS, NOW, RESTORE, World
from tests.notifications.test_slack_clicks import asked

TITLE = "Beacon to http://c2.evil.example/x"
VERDICT = {
    "outcome": "ask",
    "reasons": ["the host is critical"],
    "policy_version": 1,
    "policy_digest": "p",
    "by": None,
    "quorum": 1,
    "rule": "critical-targets",
}
EVIDENCE = [
    {
        "label": "Verdict",
        "value": {
            "malicious": 42,
            "tags": ["c2", "apt"],
            "link": "https://www.virustotal.com/gui/ip-address/198.51.100.7",
        },
    },
    {"label": "Domain", "value": "c2.evil.example"},
    {"label": "Owner", "value": None},
]
FACTS = (
    "for 24h, until 2026-03-05 05:06 UTC if approved now",
    "ask, rule critical-targets: the host is critical",
    "Tocsin lifts it when its last lease ends, or when a person releases it.",
    "Beacon to hxxp://c2[.]evil[.]example/x",
    "high (4)",
    "2027865",
    "suricata-dc1 (suricata)",
    "2026-03-04 05:00 UTC",
    "inc_1",
    "ws-042: critical; workstation; tags: finance",
    "198.51.100.7: tags: partner",
    "42",
    "“c2”, “apt”",
    "hxxps://www[.]virustotal[.]com/gui/ip-address/198.51.100.7",
    "c2[.]evil[.]example",
    "alert.host.critical or true",
    "1 of 2",
    "ann, bob",
    "approve, 2026-03-04 05:06 UTC by api: “seen on the proxy”",
)


async def brief(world: World, **columns: Any) -> None:
    """Ask about a change with an alert, an inventory, evidence and one approval of two."""
    view = {
        "title": TITLE,
        "rule": "2027865",
        "severity_name": "high",
        "time": (NOW - timedelta(minutes=6)).isoformat(),
        "host": {"id": None, "name": "ws-042", "address": None, "kind": "workstation"}
        | {"critical": True, "tags": ["finance"]},
        "user": None,
    }
    alert = AlertRow(
        id="alr_1",
        source="suricata-dc1",
        product="suricata",
        dedup_key="k",
        fingerprint="f",
        incident_id="inc_1",
        title=TITLE,
        severity=4,
        alert_class="c2_beacon",
        view=view,
        raw=b"",
        raw_sha256="0",
        received_at=NOW,
        last_seen_at=NOW,
    )
    asset = AssetRow(
        type="address", value="198.51.100.7", short="198.51.100.7", kind="unknown", tags=["partner"]
    )
    async with world.rt.store.write() as session:
        run = await session.get(RunRow, "run_1")
        assert run is not None
        run.alert_id, run.incident_id, run.severity = "alr_1", "inc_1", 4
        decision = DecisionRow(
            approval_id="apr_1",
            person="ann",
            key_id="k1",
            decision="approve",
            comment="seen on the proxy",
            via="api",
            at=NOW,
        )
        session.add_all([alert, asset, decision])
    change = {**CHANGE, "digest": "c1", "hold_seconds": 86400, "verdict": VERDICT}
    given = {
        "changes": [change],
        "evidence": EVIDENCE,
        "condition": "alert.host.critical or true",
        "quorum": 2,
    }
    await world.ask(**{**given, **columns})


ENDS = (
    "Ends the lease of",
    "run run_7 (c2-beacon-containment) on address 198.51.100.7, until 2026-03-05 05:06 UTC",
    "run run_8 on network 198.51.100.0/28, without an end",
)


async def test_page_mail_and_slack_show_the_same_facts(world: World) -> None:
    await brief(world)
    await assert_every_channel_shows(world, FACTS)


async def test_page_mail_and_slack_show_whose_leases_a_restore_ends(world: World) -> None:
    await world.ask(changes=[{**RESTORE, "holders": HOLDERS}])
    await assert_every_channel_shows(world, ENDS)
    assert asked(world)["blocks"][-1]["type"] == "actions"


async def test_page_mail_and_slack_show_who_started_the_run_and_with_what(world: World) -> None:
    inputs = {"reason": "ransom note, see http://notes.example", "api_token": "hunter2-hunter2"}
    async with world.rt.store.write() as session:
        run = await session.get(RunRow, "run_1")
        assert run is not None
        run.started_by, run.inputs = "person:cleo", inputs
    await world.ask()
    await assert_every_channel_shows(
        world, ("Started by", "person:cleo", "reason", "“ransom note, see hxxp://notes[.]example”")
    )
    view = await get_approval(world.rt, "apr_1")
    assert (view.started_by, view.inputs["reason"]) == ("person:cleo", inputs["reason"])
    assert "hunter2" not in view.model_dump_json()
    assert "hunter2" not in (await world.browser.get(world.link("bob"))).text


async def assert_every_channel_shows(world: World, facts: tuple[str, ...]) -> None:
    page = html.unescape((await world.browser.get(world.link("bob"))).text)
    mail = world.mail.taken[-1]
    texts = {
        part: html.unescape("".join(mail.get_body((part,)).get_content()))  # type: ignore[union-attr]
        for part in ("plain", "html")
    }
    blocks = asked(world)["blocks"]
    slack = "\n".join(block["text"]["text"] for block in blocks if block["type"] == "section")
    for fact in facts:
        assert fact in page, fact
        assert fact in texts["plain"], fact
        assert fact in texts["html"], fact
        assert fact in slack, fact


async def test_the_api_shows_whose_leases_a_restore_ends_as_data(world: World) -> None:
    await world.ask(changes=[{**RESTORE, "holders": HOLDERS}])
    (change,) = (await get_approval(world.rt, "apr_1")).planned_changes
    first, second = change.holders
    assert first.model_dump(exclude={"expires_at"}) == {
        "lease_id": "run_7/block",
        "containment_id": "k7",
        "run_id": "run_7",
        "playbook": "c2-beacon-containment",
        "target": {"type": "address", "value": "198.51.100.7"},
    }
    assert first.expires_at == datetime(2026, 3, 5, 5, 6, tzinfo=UTC)
    assert (second.run_id, second.playbook, second.expires_at) == ("run_8", None, None)


async def test_the_api_shows_the_facts_as_data(world: World) -> None:
    await brief(world)
    view = await get_approval(world.rt, "apr_1")
    assert view.alert is not None
    assert (view.alert.title, view.alert.severity, view.severity) == (TITLE, 4, 4)
    (change,) = view.planned_changes
    assert change.lease is not None and change.lease.expires_at == NOW + timedelta(days=1)
    assert change.policy is not None and change.policy.rule == "critical-targets"
    assert [(each.role, each.value, each.tags) for each in view.assets] == [
        ("host", "ws-042", ("finance",)),
        ("target", "198.51.100.7", ("partner",)),
    ]
    assert [each.label for each in view.evidence] == ["Verdict", "Domain", "Owner"]
    assert (view.approvals, view.asked, view.mine) == (1, ("ann", "bob"), False)
    assert len(await list_contacts(world.rt)) == 3


async def test_secrets_in_evidence_are_masked(world: World) -> None:
    await brief(world, evidence=[{"label": "Login", "value": {"password": "hunter2-hunter2"}}])
    assert "hunter2" not in (await get_approval(world.rt, "apr_1")).model_dump_json()
    assert "hunter2" not in (await world.browser.get(world.link("bob"))).text


async def test_the_subject_has_the_severity_and_fits(world: World) -> None:
    await brief(world, question="Isolate ws-042 without an end and " * 9)
    subject = str(world.mail.taken[-1]["Subject"])
    assert subject.startswith("[Tocsin] high: Isolate ws-042 without an end")
    assert len(subject) <= 78
    await world.ask(NotificationKind.REMINDER, id="apr_2")
    assert str(world.mail.taken[-1]["Subject"]) == "[Tocsin] high: Still open: Block it?"


async def test_hostile_alert_text_becomes_no_link_and_no_markup(world: World) -> None:
    hostile = (
        '<a href="https://evil.example/">https://evil.example</a>\u202e\x1b[2J www.evil.example'
    )
    await brief(
        world,
        question=hostile,
        evidence=[{"label": hostile, "value": {hostile: [hostile], "link": "javascript:alert(1)"}}],
        reasons=[hostile],
    )
    page = (await world.browser.get(world.link("bob"))).text
    plain = world.mail.taken[-1].get_body(("plain",)).get_content()  # type: ignore[union-attr]
    for text in (page, plain):
        assert "https://evil" not in text and "www.evil.example" not in text
        assert "\u202e" not in text and "\x1b" not in text
    assert "<a href" not in page


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see http://evil.example/a?b=c", "see hxxp://evil[.]example/a?b=c"),
        ("HTTPS://EVIL.EXAMPLE", "hxxpS://EVIL[.]EXAMPLE"),
        ("mail s.lee@corp.example", "mail s[.]lee@corp[.]example"),
        (
            "bücher.example und xn--bcher-kva.xn--p1ai",
            "bücher[.]example und xn--bcher-kva[.]xn--p1ai",
        ),
        ("198.51.100.7 and 2001:db8::1", "198.51.100.7 and 2001:db8::1"),
        ("firewall.block_address", "firewall.block_address"),
        ("It is done. Next one.", "It is done. Next one."),
    ],
)
def test_links_are_defanged(text: str, shown: str) -> None:
    assert defang(text) == shown


FORM = {
    "verdict": {
        "type": "choice",
        "label": "Verdict",
        "required": True,
        "choices": ["phishing", "spam"],
    },
    "sure": {"type": "boolean", "label": "Sure", "required": True, "choices": []},
}


async def test_a_form_shows_its_evidence_and_preselects_nothing(world: World) -> None:
    await world.ask(kind="form", form=FORM, changes=[], evidence=EVIDENCE)
    page = (await world.browser.get(world.link())).text
    assert "Verdict: malicious" in page
    assert " checked" not in page
    assert page.count("selected") == page.count('<option value="" selected>(choose)</option>') == 2


async def test_a_form_that_is_sent_without_choosing_names_the_fields(world: World) -> None:
    await world.ask(kind="form", form=FORM, changes=[])
    sent = await world.post(world.link(), **{"field.verdict": "", "field.sure": ""})
    assert sent.status_code == 422
    assert "verdict: is required (Verdict)" in sent.text and "sure: is required" in sent.text
    done = await world.post(world.link(), **{"field.verdict": "spam", "field.sure": "false"})
    assert done.status_code == 200, done.text
    async with world.rt.store.read() as session:
        decision = await session.get(DecisionRow, ("apr_1", "ann"))
    assert decision is not None and decision.form == {"verdict": "spam", "sure": False}


async def test_after_one_of_two_approvals_the_page_says_so(world: World) -> None:
    await world.ask(quorum=2)
    done = await world.post(world.link())
    assert "1 of 2 approvals; the others have until 2026-03-04 05:21 UTC." in done.text
    last = await world.post(world.link("bob"))
    assert "The request is approved: 2 of 2 approvals." in last.text


async def test_after_one_of_two_changes_the_page_says_so(world: World) -> None:
    await world.ask()
    done = await world.post(world.link(), change=["c2"])
    assert "1 of 2 changes; the others are not made." in done.text
