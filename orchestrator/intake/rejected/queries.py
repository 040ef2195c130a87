"""Queries on the rejected deliveries of a source."""

from __future__ import annotations

from orchestrator.domain.alert import RejectionState
from orchestrator.domain.errors import NotFound
from orchestrator.intake.keep_rejected import body_context
from orchestrator.intake.rejected.views import RejectedDelivery
from orchestrator.intake.sources import load_source
from orchestrator.runtime import Runtime
from orchestrator.store.paging import Page, check_limit, make_page, parse_cursor
from orchestrator.store.queries.sources import rejected
from orchestrator.store.search.filters import Order, RejectedFilter
from orchestrator.store.tables import RejectedRow

KEPT = RejectedFilter(state=(RejectionState.KEPT,))


async def list_rejected(
    rt: Runtime,
    source: str,
    wanted: RejectedFilter = KEPT,
    *,
    order: Order = Order.NEWEST,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[RejectedDelivery]:
    """Return the rejected deliveries of a source. Raise NotFound, Invalid."""
    await load_source(rt, source)
    async with rt.store.read() as session:
        rows = await rejected.list_page(
            session,
            source,
            wanted,
            after=parse_cursor(cursor),
            limit=check_limit(limit),
            order=order,
        )
    last = (rows[-1].received_at, rows[-1].id) if rows else None
    return make_page([RejectedDelivery.of(row) for row in rows], limit, last)


async def get_rejected(rt: Runtime, source: str, id_: str) -> RejectedDelivery:
    """Return one rejected delivery. Raise NotFound."""
    return RejectedDelivery.of(await load_rejected(rt, source, id_))


async def get_body(rt: Runtime, source: str, id_: str) -> bytes:
    """Return the body of a delivery as it was sent. Raise NotFound where it is not kept."""
    row = await load_rejected(rt, source, id_)
    if row.body is None:
        why = "was replayed" if row.state is RejectionState.REPLAYED else "was too large"
        raise NotFound(f"the body of {id_} is not kept: the delivery {why}")
    return rt.secrets.open(row.body, body_context(source))


async def load_rejected(rt: Runtime, source: str, id_: str) -> RejectedRow:
    """Return the row of a delivery with its body. Raise NotFound."""
    async with rt.store.read() as session:
        row = await rejected.get(session, source, id_)
    if row is None:
        raise NotFound(
            f"source {source!r} has no rejected delivery {id_}; "
            f"`tocsin source rejected list {source}` lists them"
        )
    return row
