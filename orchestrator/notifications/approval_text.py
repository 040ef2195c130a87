"""The text of an approval, the same in every channel: all that a decision covers, as plain text."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from orchestrator.domain.masking import mask_secrets
from orchestrator.domain.model import Frozen
from orchestrator.notifications.plain_text import lines, one_line
from orchestrator.store.tables import ApprovalRow

_QUESTION, _REASON, _NAME, _SUMMARY, _DETAIL = 2000, 300, 200, 500, 4000


class ChangeText(Frozen):
    """One change."""

    digest: str
    action: str  # connection.action
    effect: str
    target: str
    summary: str
    detail: str  # its input, as JSON


class ApprovalText(Frozen):
    """One approval."""

    approval_id: str
    digest: str
    question: str
    changes: tuple[ChangeText, ...]
    form: dict[str, Any] | None  # the fields to fill in, where no change is asked about
    reasons: tuple[str, ...]
    run_id: str
    quorum: int
    expires_at: datetime


def approval_text(row: ApprovalRow) -> ApprovalText:
    """Return the text of an approval as it is stored."""
    return ApprovalText(
        approval_id=row.id,
        digest=row.digest,
        question=lines(row.question, _QUESTION),
        changes=tuple(_change(change) for change in row.changes),
        form=row.form,
        reasons=tuple(one_line(reason, _REASON) for reason in row.reasons),
        run_id=row.run_id,
        quorum=row.quorum,
        expires_at=row.expires_at,
    )


def format_time(at: datetime) -> str:
    """Return a time for a person to read."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _change(change: dict[str, Any]) -> ChangeText:
    planned_change = change["planned_change"]
    target = planned_change["target"]
    given = json.dumps(mask_secrets(change["input"]), indent=1, sort_keys=True, ensure_ascii=False)
    return ChangeText(
        digest=change["digest"],
        action=one_line(f"{change['connection']}.{change['action']}", _NAME),
        effect=one_line(change["effect"], _NAME),
        target=one_line(f"{target['type']} {target['value']}", _NAME),
        summary=one_line(planned_change["summary"], _SUMMARY),
        detail=lines(given, _DETAIL),
    )
