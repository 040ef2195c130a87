"""The batch that a new approval joins, chosen in the transaction that opens the approval.

A batch groups rows for people. It permits nothing: each approval keeps its digest and its
decisions, and a decision on a batch names every approval that it covers.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.domain.approval import BATCH_PREFIX
from orchestrator.store.dialect import Lock, lock
from orchestrator.store.queries import runs
from orchestrator.store.queries.approvals import batches
from orchestrator.store.search.selection import MOST


async def batch_of(session: AsyncSession, asked: Mapping[str, Any], within: int) -> str | None:
    """Return the batch of a new approval; None where it is joined with no other.

    `within`: for how many seconds after its first approval a batch takes others. The time is fixed,
    so that a source that never stops opens a new batch now and then. The runs that people start are
    not joined.
    """
    run = await runs.get(session, asked["run_id"])
    if run is None or run.source is None or not within:
        return None
    name = f"{run.playbook}\n{run.version}\n{run.source}\n{asked['path']}"
    await lock(session, Lock.BATCH, [name])
    since = asked["asked_at"] - timedelta(seconds=within)
    newest = await batches.newest_like(session, run, asked, since)
    if newest is not None and newest.batch is not None and newest.form == asked["form"]:
        first = await batches.first_of(session, newest.batch)
        size = await batches.count(session, newest.batch)
        if first is not None and first.asked_at > since and size < MOST:
            return newest.batch
    id_: str = asked["id"]
    return f"{BATCH_PREFIX}{id_.removeprefix('apr_')}"
