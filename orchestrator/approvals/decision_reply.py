"""What did a question to people come to? From its row and its answers, for the workflow that waits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchestrator.contracts.messages import Decision
from orchestrator.domain.approval import agreed_changes
from orchestrator.domain.errors import Conflict
from orchestrator.store.tables import AnswerRow, ApprovalRow


def decision_of(row: ApprovalRow, answers: Sequence[AnswerRow]) -> Decision:
    """The decision. Raises Conflict for a question that nobody has decided.

    One that ended with its run counts as expired. One that was approved and does not hold any more is told as the approval that
    it was: the run may have heard of it before, hears the same in any case, and is refused when it applies.
    """
    match row.state:
        case "approved" | "withdrawn" | "void" if chosen := _agreeing(row, answers):
            return _decided(row, chosen, "approved", agreed(row, answers), _form(row, chosen))
        case "declined":
            return _decided(
                row,
                [answer for answer in counted(answers) if answer.decision == "decline"],
                "declined",
                (),
                None,
            )
        case "expired" | "withdrawn" | "void":
            return Decision(approval_id=row.id, state="expired")
        case _:
            raise Conflict(f"approval {row.id} is {row.state}")


def agreed(row: ApprovalRow, answers: Sequence[AnswerRow]) -> tuple[str, ...]:
    """Digests of the changes that all who approved agreed with; after a broken glass, those that its breaker chose."""
    asked = [change["digest"] for change in row.changes]
    return agreed_changes(
        asked, ((answer.form or {}).get("changes") for answer in _agreeing(row, answers))
    )


def counted(answers: Sequence[AnswerRow]) -> list[AnswerRow]:
    """Those that nobody has taken back."""
    return [answer for answer in answers if answer.withdrawn_at is None]


def _agreeing(row: ApprovalRow, answers: Sequence[AnswerRow]) -> list[AnswerRow]:
    """Whose answers the approval consists of, or consisted of before one of them was taken back."""
    decided = row.decided_at if row.state in {"withdrawn", "void"} else None
    alone = row.glass_broken_by
    return [
        answer
        for answer in answers
        if answer.decision == "approve"
        and (alone is None or answer.person == alone)
        and (
            answer.withdrawn_at is None or (decided is not None and answer.withdrawn_at >= decided)
        )
    ]


def _decided(
    row: ApprovalRow,
    answers: list[AnswerRow],
    state: Any,
    changes: tuple[str, ...],
    form: dict[str, Any] | None,
) -> Decision:
    comment = "\n".join(answer.comment for answer in answers if answer.comment)
    by = tuple(answer.person for answer in answers)
    return Decision(
        approval_id=row.id, state=state, approved_changes=changes, form=form, by=by, comment=comment
    )


def _form(row: ApprovalRow, answers: list[AnswerRow]) -> dict[str, Any] | None:
    return answers[-1].form if row.kind == "form" and answers else None
