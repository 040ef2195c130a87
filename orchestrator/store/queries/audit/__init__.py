"""Queries on the audit trail: its events, batches and seals."""

from orchestrator.store.queries.audit.pages import (
    page,
)
from orchestrator.store.queries.audit.rows import (
    add_batch,
    append,
    batch,
    batch_digests,
    batches,
    events_by_id,
    key_changes,
    last_place,
    newest_batch,
    oldest_unsealed,
    places,
    quarantine,
    quarantined,
    sealed_rows,
    unsealed,
)

__all__ = [
    "add_batch",
    "append",
    "batch",
    "batch_digests",
    "batches",
    "events_by_id",
    "key_changes",
    "last_place",
    "newest_batch",
    "oldest_unsealed",
    "page",
    "places",
    "quarantine",
    "quarantined",
    "sealed_rows",
    "unsealed",
]
