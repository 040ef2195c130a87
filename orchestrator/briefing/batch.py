"""The text of a batch: what in it waits for one person, the same in every channel."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.briefing.load import load_approvals
from orchestrator.briefing.plain_text import defang, one_line
from orchestrator.briefing.text import ApprovalText, approval_text
from orchestrator.domain.access import Principal
from orchestrator.domain.model import Frozen
from orchestrator.store.queries.approvals import batches
from orchestrator.store.search.selection import MOST

_NAME = 200


class BatchText(Frozen):
    """The approvals of a batch that wait for one person, the most severe first."""

    batch_id: str
    playbook: str
    step: str
    source: str
    severity: str  # the highest one; empty without alerts
    approvals: tuple[ApprovalText, ...]
    expires_at: datetime  # when the first of them expires
    ends_at: datetime  # when the last of them expires


async def load_batch(
    session: AsyncSession, batch: str, now: datetime, principal: Principal
) -> BatchText | None:
    """Return what of a batch waits for a person; None: nothing does."""
    rows = [
        (row, run)
        for row, run in await batches.list_pending(session, batch, MOST)
        if row.expires_at > now
    ]
    views = [view for view in await load_approvals(session, rows, now, principal) if view.mine]
    if not views:
        return None
    views.sort(key=lambda view: -view.severity)
    texts = tuple(map(approval_text, views))
    (_, run) = rows[0]
    return BatchText(
        batch_id=batch,
        playbook=one_line(f"{run.playbook} version {run.version}", _NAME),
        step=one_line(views[0].path, _NAME),
        source=defang(one_line(run.source or "", _NAME)),
        severity=texts[0].severity,
        approvals=texts,
        expires_at=min(view.expires_at for view in views),
        ends_at=max(view.expires_at for view in views),
    )
