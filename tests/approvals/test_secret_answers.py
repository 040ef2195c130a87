"""A secret answer of a form is encrypted wherever it goes, and masked wherever it is shown."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orchestrator.approvals.decision_reply import decision_of
from orchestrator.approvals.views import get_approval
from orchestrator.domain.masking import MASK, SEALED, mask_secrets
from orchestrator.store.tables import DecisionRow
from tests.harness.approval_rows import ANN, Desk, desk
from tests.harness.playbook_texts import problems_of, with_steps

SECRET = "correct horse battery"
FIELD = {"label": "L", "required": True, "choices": []}
FORM = {
    "unlock": {**FIELD, "type": "secret"},
    "password": {**FIELD, "type": "text"},
    "reset_password": {**FIELD, "type": "boolean"},
    "why": {**FIELD, "type": "text"},
}
ANSWERS = {"unlock": SECRET, "password": SECRET, "reset_password": True, "why": "it is stuck"}


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[Desk]:
    """A desk with a form that is filled in."""
    async with desk(tmp_path) as made:
        await made.ask(kind="form", changes=[], form=FORM)
        await made.decide(ANN, form=ANSWERS)
        yield made


@pytest.mark.attack(
    "a viewer reads the answers of a form named password", before="shown to every viewer"
)
async def test_secret_answers_are_masked_where_they_are_shown(at: Desk) -> None:
    (decision,) = (await get_approval(at.rt, "apr_1")).decisions
    assert decision.form == {
        "unlock": MASK,
        "password": MASK,
        "reset_password": MASK,  # by its name
        "why": "it is stuck",
    }
    (event,) = await at.events("approval:decided")
    assert event.data["chosen"] == decision.form


@pytest.mark.attack(
    "a reader of the database or of Temporal reads a secret answer", before="it was stored as typed"
)
async def test_secret_answers_are_stored_and_delivered_encrypted(at: Desk) -> None:
    (stored,) = await at.rows(DecisionRow)
    sent = decision_of(await at.row(), [stored]).form or {}
    assert SECRET not in json.dumps([stored.form, sent])
    assert sent["unlock"].startswith(SEALED) and sent["password"].startswith(SEALED)
    assert sent["unlock"].removeprefix(SEALED) != sent["password"].removeprefix(SEALED)
    assert (sent["reset_password"], sent["why"]) == (True, "it is stuck")
    assert mask_secrets({"note": f"typed {sent['unlock']}."}) == {"note": f"typed {MASK}."}


STEPS = """
  - id: unlock
    ask:
      question: How?
      form: {{password: {{type: {kind}, label: Password}}, why: {{type: text, label: Why}}}}
  - id: open
    use: tickets.open
    with: {{title: "${{{{ steps.unlock.{field} }}}}"}}
"""


@pytest.mark.parametrize("kind", ["secret", "text"])
def test_no_step_can_name_a_secret_answer(kind: str) -> None:
    problems = problems_of(with_steps(STEPS.format(kind=kind, field="password")))
    assert any("password" in str(problem) for problem in problems)
    assert problems_of(with_steps(STEPS.format(kind=kind, field="why"))) == ()
