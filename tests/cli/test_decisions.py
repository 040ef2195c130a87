"""Decisions on the command line: shown, confirmed, and bound to what was shown."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.access import Role
from orchestrator.policy import policies
from orchestrator.runtime import open_runtime
from orchestrator.store.tables import ApprovalRow, RunRow
from tests.cli.test_approvals import FORM
from tests.harness.api_server import ApiServer, api_server
from tests.harness.approval_rows import asked_change
from tests.harness.commands import CommandOutcome, tocsin
from tests.harness.people import add_key

NOW = datetime.now(UTC)
_numbers = count(1)


def ask(server: ApiServer, **columns: Any) -> str:
    """Add a pending approval with a run of its own; return its id."""
    number = next(_numbers)
    values = {
        "id": f"apr_{number:04x}{'0' * 28}",
        "run_id": f"run_cli_{number}",
        "workflow_id": "w",
        "path": "block",
        "kind": "change",
        "question": f"Block it {number}?",
        "changes": [asked_change("c1", hold_seconds=7200), asked_change("c2")],
        "digest": f"d{number}",
        "state": "pending",
        "asked_at": NOW,
        "expires_at": NOW + timedelta(hours=1),
        **columns,
    }
    run_row = {
        "playbook": "c2",
        "version": 3,
        "plan_digest": "p",
        "status": "waiting",
        "started_by": "system",
        "dispatched": True,
        "created_at": NOW,
    }

    async def add() -> None:
        rt = open_runtime(server.settings)
        try:
            async with rt.store.write() as session:
                session.add(RunRow(id=values["run_id"], **run_row))
                session.add(ApprovalRow(**values))
        finally:
            await rt.close()

    asyncio.run(add())
    return str(values["id"])


def run(server: ApiServer, *arguments: object, **more: Any) -> CommandOutcome:
    return tocsin("approval", *arguments, "--url", server.url, TOCSIN_API_KEY=server.key, **more)


def state(server: ApiServer, id_: str) -> str:
    found = json.loads(run(server, "show", id_, "--json").stdout)
    return str(found["state"])


def test_a_decision_is_shown_and_confirmed(server: ApiServer) -> None:
    id_ = ask(server)
    kept = run(server, "approve", id_[:8], typed="n\n")
    assert (kept.returncode, state(server, id_)) == (1, "pending")
    assert "nothing was decided" in kept.stderr
    assert "firewall.block_address  address 198.51.100.7" in kept.stderr
    assert "Lasts: for 2h, until " in kept.stderr
    done = run(server, "approve", id_[4:8], typed="y\n")
    assert (done.returncode, state(server, id_)) == (0, "approved"), done.stderr


def test_without_a_terminal_a_decision_names_its_digest_or_says_yes(server: ApiServer) -> None:
    id_, other = ask(server), ask(server)
    refused = run(server, "decline", id_)
    assert (refused.returncode, state(server, id_)) == (1, "pending")
    assert "add --yes to decide what is shown, or --digest D" in refused.stderr
    assert run(server, "decline", id_, "--digest", "another").returncode == 1
    digest = json.loads(run(server, "show", id_, "--json").stdout)["digest"]
    assert run(server, "decline", id_, "--digest", digest).returncode == 0
    assert state(server, id_) == "declined"
    said = run(server, "approve", other, "--yes", "--json")
    assert json.loads(said.stdout)["state"] == "approved"
    assert "Block it" in said.stderr


def test_several_are_shown_and_decided_one_by_one(server: ApiServer) -> None:
    first, second, decided = ask(server), ask(server), ask(server, state="declined")
    done = run(server, "approve", first, decided, second, typed="y\ny\ny\n")
    assert done.returncode == 1
    assert [state(server, id_) for id_ in (first, second, decided)] == [
        "approved",
        "approved",
        "declined",
    ]
    assert f"{decided}: " in done.stderr
    mixed = run(server, "approve", first, second, "--digest", "d")
    assert "are about one approval" in mixed.stderr


def test_an_ambiguous_prefix_is_refused(server: ApiServer) -> None:
    ask(server, id="apr_ffff1" + "0" * 27)
    ask(server, id="apr_ffff2" + "0" * 27)
    assert "several approvals begin with apr_ffff" in run(server, "approve", "ffff", "--yes").stderr
    assert "approval apr_eeee does not exist" in run(server, "show", "eeee").stderr


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        (["verdict=phishing"], "sure: is required"),
        (["verdict=fishing", "sure=yes"], "verdict: give one of: phishing, spam"),
        (["verdict=spam", "sure=maybe"], "--field sure: write true or false"),
        (["verdict=spam", "sure=yes", "mails=many"], "--field mails: write a whole number"),
        (["verdict"], "--field verdict: has no value"),
        (["sure=yes", "sure=no"], "--field sure: is given twice"),
        (["verdict=spam", "sure=yes", "mood=x"], "mood: unknown field; the fields are: verdict"),
    ],
)
def test_a_wrong_form_is_refused_and_names_the_field(
    server: ApiServer, fields: list[str], problem: str
) -> None:
    id_ = ask(server, kind="form", form=FORM, changes=[])
    options = [word for field in fields for word in ("--field", field)]
    refused = run(server, "answer", id_, "--yes", *options)
    assert (refused.returncode, state(server, id_)) == (1, "pending")
    assert problem in refused.stderr


def test_a_form_is_filled_in(server: ApiServer) -> None:
    id_ = ask(server, kind="form", form=FORM, changes=[])
    options = ("--field", "verdict=phishing", "--field", "mails=3", "--field", "sure=yes")
    done = run(server, "answer", id_, *options, "--json", typed="y\n")
    (decision,) = json.loads(done.stdout)["decisions"]
    assert decision["form"] == {"verdict": "phishing", "mails": 3, "sure": True}


def test_the_list_begins_with_what_expires_first(server: ApiServer) -> None:
    late = ask(server, expires_at=NOW + timedelta(hours=9))
    soon = ask(server, expires_at=NOW + timedelta(minutes=20))
    found = json.loads(run(server, "list", "--mine", "--json").stdout)
    ids = [each["id"] for each in found]
    assert ids.index(soon) < ids.index(late)
    assert {each["mine"] for each in found} == {True}
    row = next(line for line in run(server, "list").stdout.splitlines() if soon[:16] in line)
    assert "c2" in row and "198.51.100.7" in row and "0 of 1" in row


def test_a_batch_is_one_line_and_decided_as_it_is_shown(server: ApiServer) -> None:
    first = ask(server, id="apr_bbbb1" + "0" * 27, batch="bat_bbbb1" + "0" * 27)
    second = ask(server, batch="bat_bbbb1" + "0" * 27)
    listed = run(server, "list").stdout
    (line,) = [each for each in listed.splitlines() if "bat_bbbb1" in each]
    assert line.split()[1] == "2" and first[:9] not in listed
    shown = run(server, "show", "bat_bbbb1").stdout
    assert f"{first}: pending" in shown and f"{second}: pending" in shown
    assert shown.startswith("all 2 approvals\n")
    assert shown.count("Who decides") == 1
    alone = run(server, "show", first).stdout + run(server, "show", second).stdout
    assert set(shown.splitlines()) - {"all 2 approvals"} == set(alone.splitlines())
    kept = run(server, "approve", "bat_bbbb1", typed="n\n")
    assert (kept.returncode, state(server, first)) == (1, "pending")
    assert "Approve 2 approvals? [y/N]" in kept.stderr
    mixed = run(server, "approve", "bat_bbbb1", "--digest", "d")
    assert "--digest is about one approval" in mixed.stderr
    done = run(server, "decline", "bat_bbbb1", "--yes", "--comment", "a scan")
    assert (done.returncode, done.stdout.count("declined")) == (0, 2), done.stderr
    assert [state(server, id_) for id_ in (first, second)] == ["declined", "declined"]
    nothing = run(server, "approve", "bat_bbbb1", "--yes")
    assert "waits for your decision" in nothing.stderr
    assert "nothing is pending in batch" in run(server, "show", "bat_bbbb1").stdout


def test_an_approval_is_handed_over(tmp_path: Path) -> None:
    async def prepare(server: ApiServer) -> str:
        rt = open_runtime(server.settings)
        try:
            text = "approvals: {hand_over: {leads: [night]}}"
            await policies.publish_policy(rt, text, actor="system")
            _, token = await add_key(rt, "lee", (Role.APPROVER,), groups=("leads",))
        finally:
            await rt.close()
        return token.get_secret_value()

    with api_server(tmp_path / "data") as own:
        id_ = ask(own, by_group="leads")
        options = ("--to", "night", "--reason", "the end of our shift")
        refused = run(own, "hand-over", id_, *options)
        assert refused.returncode == 1 and "is not a member of leads" in refused.stderr
        own.key = asyncio.run(prepare(own))
        elsewhere = run(own, "hand-over", id_, "--to", "friends", "--reason", "none")
        assert "see `approvals.hand_over` in the policy" in elsewhere.stderr
        done = run(own, "hand-over", id_, *options)
        assert (done.returncode, done.stdout) == (0, f"approval {id_}: night decides\n"), (
            done.stderr
        )
        shown = run(own, "show", id_).stdout
    assert "from leads by lee" in shown
