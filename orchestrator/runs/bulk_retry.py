"""Retry of many runs at once: a preview, then each run with its own result and audit event."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client

from orchestrator.domain.errors import Conflict, NotFound
from orchestrator.domain.model import Frozen
from orchestrator.runs.dispatch import dispatch
from orchestrator.runs.lifecycle import reopen_run, retry_objection
from orchestrator.runs.views import RUN_EXAMPLE, RunView
from orchestrator.runtime import Runtime
from orchestrator.store.queries import runs
from orchestrator.store.search.filters import RunFilter
from orchestrator.store.search.selection import (
    MOST,
    SHOWN,
    PreviewedSelection,
    check_selection,
    selection_digest,
)

_ITEM: dict[str, Any] = {
    "id": RUN_EXAMPLE["id"],
    "result": "retried",
    "reason": None,
    "run": {**RUN_EXAMPLE, "status": "running", "attempt": 2, "ended_at": None},
}


class RetryResult(StrEnum):
    """What becomes of one run."""

    RETRYABLE = "retryable"  # in a preview
    RETRIED = "retried"
    REFUSED = "refused"


class RunRetry(Frozen):
    """One run of a retry of many."""

    model_config = ConfigDict(json_schema_extra={"example": _ITEM})

    id: str
    result: RetryResult
    reason: str | None = Field(description="Why it is refused.")
    run: RunView | None = Field(description="Null for an id that no run has.")


class RunRetries(Frozen):
    """A retry of many runs, or its preview."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"preview": False, "count": 1, "digest": "6f1c0f2b", "items": [_ITEM]}
        }
    )

    preview: bool = Field(description="Whether nothing was retried.")
    count: int = Field(description="How many runs the request chooses.")
    digest: str | None = Field(
        description="Of their ids: send it with `count` to retry exactly these; null for too many."
    )
    items: list[RunRetry] = Field(
        description=f"All of them, the newest first; in a preview the first {SHOWN}."
    )


async def preview_retry(rt: Runtime, wanted: RunFilter) -> RunRetries:
    """Return which runs would be retried, and which refused, without a change."""
    async with rt.store.read() as session:
        ids, count = await _choose(session, wanted)
        items = [await _foresee(session, id_) for id_ in ids[:SHOWN]]
    return RunRetries(preview=True, count=count, digest=selection_digest(ids), items=items)


async def retry_runs(
    rt: Runtime,
    client: Client | None,
    wanted: RunFilter,
    *,
    expected: PreviewedSelection | None,
    actor: str,
) -> RunRetries:
    """Retry runs; one that is refused does not stop the others.

    Raise Invalid (too many), Conflict (other runs than those that were seen).
    """
    async with rt.store.read() as session:
        ids, count = await _choose(session, wanted)
    check_selection("runs", ids, count, expected)
    refused: dict[str, str] = {}
    for id_ in ids:
        try:
            async with rt.store.write() as session:
                await reopen_run(session, id_, actor, rt.clock())
        except (NotFound, Conflict) as error:
            refused[id_] = str(error)
    if client is not None:
        await dispatch(rt, client, [id_ for id_ in ids if id_ not in refused])
    items = await _results(rt, ids, refused)
    return RunRetries(preview=False, count=count, digest=selection_digest(ids), items=items)


async def _choose(session: AsyncSession, wanted: RunFilter) -> tuple[list[str], int]:
    """Return the ids, at most one over the maximum, and how many there are."""
    if wanted.ids:
        return list(wanted.ids), len(wanted.ids)
    rows = await runs.list_page(session, wanted, after=None, limit=MOST + 1)
    count = len(rows) if len(rows) <= MOST else await runs.count(session, wanted)
    return [row.id for row in rows], count


async def _foresee(session: AsyncSession, id_: str) -> RunRetry:
    run = await runs.get(session, id_)
    if run is None:
        unknown = f"run {id_} does not exist"
        return RunRetry(id=id_, result=RetryResult.REFUSED, reason=unknown, run=None)
    reason = await retry_objection(session, run)
    result = RetryResult.REFUSED if reason else RetryResult.RETRYABLE
    return RunRetry(id=id_, result=result, reason=reason, run=RunView.of(run))


async def _results(rt: Runtime, ids: list[str], refused: dict[str, str]) -> list[RunRetry]:
    if not ids:
        return []
    async with rt.store.read() as session:
        chosen = RunFilter(ids=tuple(ids))
        rows = await runs.list_page(session, chosen, after=None, limit=len(ids))
    views = {row.id: RunView.of(row) for row in rows}
    return [
        RunRetry(
            id=id_,
            result=RetryResult.REFUSED if id_ in refused else RetryResult.RETRIED,
            reason=refused.get(id_),
            run=views.get(id_),
        )
        for id_ in ids
    ]
