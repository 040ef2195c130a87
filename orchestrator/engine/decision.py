"""What did a question to people come to? From its row and its answers, for the workflow that waits."""

from __future__ import annotations

from typing import Any

from orchestrator.domain.approval import agreed_changes
from orchestrator.domain.errors import Conflict
from orchestrator.engine.contracts import Decision
from orchestrator.store.tables import AnswerRow, ApprovalRow


def decision_of(row: ApprovalRow, answers: list[AnswerRow]) -> Decision:
    """The decision. Raises Conflict for a question that nobody has decided; one that was withdrawn counts as expired."""
    match row.state:
        case "approved":
            chosen = [answer for answer in answers if answer.decision == "approve"]
            return _decided(row, chosen, "approved", agreed(row, answers), _form(row, chosen))
        case "declined":
            return _decided(row, [answer for answer in answers if answer.decision == "decline"], "declined", (), None)
        case "expired" | "withdrawn":
            return Decision(approval_id=row.id, state="expired")
        case _:
            raise Conflict(f"approval {row.id} is {row.state}")


def agreed(row: ApprovalRow, answers: list[AnswerRow]) -> tuple[str, ...]:
    """Digests of the changes that all who approved agreed with."""
    asked = [change["digest"] for change in row.changes]
    return agreed_changes(asked, ((answer.form or {}).get("changes") for answer in answers if answer.decision == "approve"))


def _decided(row: ApprovalRow, answers: list[AnswerRow], state: Any, changes: tuple[str, ...], form: dict[str, Any] | None) -> Decision:
    comment = "\n".join(answer.comment for answer in answers if answer.comment)
    by = tuple(answer.person for answer in answers)
    return Decision(approval_id=row.id, state=state, approved_changes=changes, form=form, by=by, comment=comment)


def _form(row: ApprovalRow, answers: list[AnswerRow]) -> dict[str, Any] | None:
    return answers[-1].form if row.kind == "form" and answers else None
