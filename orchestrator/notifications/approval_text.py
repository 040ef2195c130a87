"""What does a person see of a question, in whatever channel? Everything that they agree with, as plain text."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from orchestrator.domain.masking import masked
from orchestrator.domain.model import Frozen
from orchestrator.notifications.plain_text import lines, one_line
from orchestrator.store.tables import ApprovalRow

_QUESTION, _REASON, _NAME, _SUMMARY, _DETAIL = 2000, 300, 200, 500, 4000


class ShownChange(Frozen):
    """One change, to be read."""

    digest: str
    deed: str  # connection.action
    effect: str
    target: str
    summary: str
    detail: str  # its input, as JSON


class Question(Frozen):
    """One question, to be read. `form`: the fields to fill in, for a question that is about no change."""

    approval_id: str
    digest: str
    text: str
    changes: tuple[ShownChange, ...]
    form: dict[str, Any] | None
    reasons: tuple[str, ...]
    run_id: str
    quorum: int
    state: str
    expires_at: datetime


def question_of(row: ApprovalRow) -> Question:
    """The question as it stands in the store."""
    return Question(
        approval_id=row.id,
        digest=row.digest,
        text=lines(row.question, _QUESTION),
        changes=tuple(_shown(change) for change in row.changes),
        form=row.form,
        reasons=tuple(one_line(reason, _REASON) for reason in row.reasons),
        run_id=row.run_id,
        quorum=row.quorum,
        state=row.state,
        expires_at=row.expires_at,
    )


def moment(at: datetime) -> str:
    """A time, for a person."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _shown(change: dict[str, Any]) -> ShownChange:
    planned_change = change["planned_change"]
    return ShownChange(
        digest=change["digest"],
        deed=one_line(f"{change['connection']}.{change['action']}", _NAME),
        effect=one_line(change["effect"], _NAME),
        target=one_line(
            f"{planned_change['target']['type']} {planned_change['target']['value']}", _NAME
        ),
        summary=one_line(planned_change["summary"], _SUMMARY),
        detail=lines(
            json.dumps(masked(change["input"]), indent=1, sort_keys=True, ensure_ascii=False),
            _DETAIL,
        ),
    )
