"""Queries on runs, without secrets."""

from __future__ import annotations

from orchestrator.audit.archived import missing_record
from orchestrator.domain.audit_event import EventKind
from orchestrator.runs.views import RunDetails, RunView, run_details
from orchestrator.runtime import Runtime
from orchestrator.store.paging import Page, check_limit, make_page, parse_cursor
from orchestrator.store.queries import runs, steps
from orchestrator.store.search.filters import Order, RunFilter

EVERY_RUN = RunFilter()


async def list_runs(
    rt: Runtime,
    wanted: RunFilter = EVERY_RUN,
    *,
    order: Order = Order.NEWEST,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[RunView]:
    """Return runs without their steps. Raise Invalid for a bad cursor or limit."""
    async with rt.store.read() as session:
        rows = await runs.list_page(
            session, wanted, after=parse_cursor(cursor), limit=check_limit(limit), order=order
        )
    last = (rows[-1].created_at, rows[-1].id) if rows else None
    return make_page([RunView.of(row) for row in rows], limit, last)


async def get_run(rt: Runtime, run_id: str) -> RunDetails:
    """Return a run with its steps, and what a dry run would have done. Raise NotFound."""
    async with rt.store.read() as session:
        run = await runs.get(session, run_id)
        if run is None:
            raise await missing_record(session, "run", run_id, EventKind.RUN_CREATED)
        return run_details(run, await steps.of_run(session, run_id))
