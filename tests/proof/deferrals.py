"""Runs that are deferred: their source has no place for them, and they begin by themselves."""

from __future__ import annotations

from datetime import datetime, timedelta

from orchestrator.runs.lifecycle import start_run
from orchestrator.runtime import Runtime
from orchestrator.store.queries import runs
from tests.proof.ledger import Ledger

SOURCE = "siem"
PLACES = 1
"""How many runs of the source may be open, if they began within the hour."""
_BEGUN = "source = ? AND status IN ('running', 'waiting') AND coalesce(begun_at, created_at) > ?"


async def defer_run(rt: Runtime, playbook: str, inputs: dict[str, str]) -> str:
    """Create a run as the intake does for a source that is full. Return its id."""
    started = await start_run(rt, None, playbook, inputs=inputs, actor=f"source:{SOURCE}")
    async with rt.store.write() as session:
        run = await runs.get(session, started.id, lock=True)
        assert run is not None
        run.source = SOURCE
        run.defer("its source is full")
    return started.id


def excess(ledger: Ledger, now: datetime) -> str | None:
    """Return that more runs of the source began than it has places, or None."""
    begun = _begun(ledger, now)
    if begun <= PLACES:
        return None
    return f"{begun} runs of a source began, which has a place for {PLACES}"


def unused_place(ledger: Ledger, now: datetime) -> str | None:
    """Return the run that does not begin although its source has a place, or None."""
    deferred = ledger.rows("SELECT id FROM runs WHERE status = 'deferred'")
    if deferred and _begun(ledger, now) < PLACES:
        return f"{deferred[0]['id']} does not begin, and its source has a place"
    return None


def _begun(ledger: Ledger, now: datetime) -> int:
    since = (now - timedelta(hours=1)).strftime("%Y-%m-%d %H:%M:%S.%f")
    return ledger.count(f"runs WHERE {_BEGUN}", SOURCE, since)
