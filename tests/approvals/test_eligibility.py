"""Separation of duties: no one approves what they wrote, signed or started."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from orchestrator.audit import trail
from orchestrator.domain.access import Principal, Role
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict, Forbidden
from orchestrator.store.tables import DecisionRow, PlaybookRow, RunRow, SignatureRow
from tests.harness.approval_rows import ANN, ANN_AGAIN, BOB, NOW, Desk, desk, playbook
from tests.harness.databases import edit_rows

PAT = Principal(key_id="k7", person=" PAT", roles=(Role.ADMIN,))


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk(tmp_path) as made:
        yield made


async def started_by(at: Desk, actor: str) -> None:
    async with at.rt.store.write() as session:
        await session.execute(update(RunRow).values(started_by=actor))


async def signed_by(at: Desk, person: str, role: str) -> None:
    signature: dict[str, Any] = {"fingerprint": "f", "digest": "p", "signature": "s", "at": NOW}
    await at.add(SignatureRow(name="c2", version=3, role=role, person=person, **signature))


async def retried_by(at: Desk, actor: str) -> None:
    async with at.rt.store.write() as session:
        await trail.record(
            session, EventKind.RUN_RETRIED, actor=actor, subject="run_1", data={}, now=NOW
        )


async def test_who_published_the_version_may_not_approve_in_any_spelling(at: Desk) -> None:
    await at.ask()
    with pytest.raises(Forbidden, match=r"published c2 version 3.*ask another approver"):
        await at.decide(PAT)
    (event,) = await at.events("approval:decision:refused")
    assert "published c2 version 3" in event.data["reason"]
    assert await at.rows(DecisionRow) == []


async def test_who_published_a_called_version_may_not_approve(at: Desk) -> None:
    await at.add(playbook("inner", 7, "person:ann"))
    plan = {
        "steps": [
            {
                "kind": "parallel",
                "steps": [
                    {"kind": "call", "plan": {"playbook": "inner", "version": 7, "steps": []}}
                ],
            }
        ]
    }
    async with at.rt.store.write() as session:
        await edit_rows(session, PlaybookRow, plan=plan)
    await at.ask()
    with pytest.raises(Forbidden, match="published inner version 7"):
        await at.decide(ANN)


async def test_who_signed_as_author_may_not_approve_and_a_reviewer_may(at: Desk) -> None:
    await signed_by(at, "ann", "author")
    await signed_by(at, "bob", "reviewer")
    await at.ask()
    with pytest.raises(Forbidden, match="as its author"):
        await at.decide(ANN)
    assert (await at.decide(BOB)).state == "approved"


async def test_who_started_or_retried_the_run_may_not_approve(at: Desk) -> None:
    await started_by(at, "person:Ann")
    await retried_by(at, "person:bob")
    await at.ask()
    with pytest.raises(Forbidden, match="started the run"):
        await at.decide(ANN)
    with pytest.raises(Forbidden, match="retried the run"):
        await at.decide(BOB)


async def test_who_may_not_approve_may_decline(at: Desk) -> None:
    await started_by(at, "person:ann")
    await at.ask()
    assert (await at.decide(ANN, "decline")).state == "declined"


async def test_a_source_is_not_a_person_of_that_name(at: Desk) -> None:
    await started_by(at, "source:ann")
    await at.ask()
    assert (await at.decide(ANN)).state == "approved"


async def test_who_started_the_run_may_fill_in_a_form(at: Desk) -> None:
    await started_by(at, "person:ann")
    await at.ask(
        kind="form",
        changes=[],
        form={"why": {"type": "text", "label": "Why", "required": True, "choices": []}},
    )
    assert (await at.decide(ANN, form={"why": "x"})).state == "approved"


async def test_the_policy_can_disable_the_separation(at: Desk) -> None:
    await at.policy(separate=False)
    await at.ask()
    assert (await at.decide(PAT)).state == "approved"


async def test_two_keys_and_two_spellings_of_one_person_count_once(at: Desk) -> None:
    await at.ask(quorum=2)
    await at.decide(ANN)
    with pytest.raises(Conflict, match="has already decided"):
        await at.decide(ANN_AGAIN)
    assert (await at.row()).state == "pending"
    assert (await at.decide(BOB)).state == "approved"
