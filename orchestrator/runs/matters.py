"""What needs a person? Matters, listed and closed."""

from __future__ import annotations

from typing import Any

from orchestrator.domain.errors import Conflict, Invalid, NotFound
from orchestrator.runs.paging import after, bounded, page, said
from orchestrator.runtime import Runtime
from orchestrator.store import matters
from orchestrator.store.tables import MatterRow

MAX_COMMENT = 2000


async def list_matters(
    rt: Runtime, *, state: str | None = "open", kind: str | None = None, cursor: str | None = None, limit: int = 50
) -> dict[str, Any]:
    """Matters, newest first. Raises Invalid for a bad cursor or limit."""
    async with rt.store.read() as session:
        rows = await matters.page(session, after=after(cursor), limit=bounded(limit), state=state, kind=kind)
    return page([_view(row) for row in rows], limit, (rows[-1].opened_at, rows[-1].id) if rows else None)


async def get_matter(rt: Runtime, matter_id: str) -> dict[str, Any]:
    """One matter. Raises NotFound."""
    async with rt.store.read() as session:
        row = await matters.get(session, matter_id)
    if row is None:
        raise NotFound(f"there is no matter {matter_id}; `tocsin matter list` lists them")
    return _view(row)


async def close_matter(rt: Runtime, matter_id: str, *, comment: str, actor: str) -> dict[str, Any]:
    """Closes a matter; what it is about stays as it is, and opens another if it is found again. Raises NotFound, Conflict, Invalid."""
    if not comment.strip() or len(comment) > MAX_COMMENT:
        raise Invalid(f"comment: say what was done, in 1 to {MAX_COMMENT} characters")
    async with rt.store.write() as session:
        row = await matters.get(session, matter_id, locked=True)
        if row is None:
            raise NotFound(f"there is no matter {matter_id}; `tocsin matter list` lists them")
        if row.state != "open":
            raise Conflict(f"matter {matter_id} was closed by {row.closed_by}")
        if row.kind == "break_glass":
            raise Conflict(f"a broken glass is closed by its review: `tocsin approval review {row.subject}`")
        await matters.close(session, row, actor, comment, rt.clock())
    return _view(row)


def _view(row: MatterRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "kind": row.kind,
        "subject": row.subject,
        "summary": row.summary,
        "to_group": row.to_group,
        "state": row.state,
        "opened_at": said(row.opened_at),
        "closed_at": said(row.closed_at),
        "closed_by": row.closed_by,
        "comment": row.comment,
    }
