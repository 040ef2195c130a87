"""Sealing: events are hashed, batches of them chained, and each batch signed.

The signed header of a batch holds the Merkle root over its events and the first eight bytes of
every leaf. With these, a verifier can name a changed event even where every hash was recomputed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from orchestrator.audit.merkle import leaf_hash, merkle_root
from orchestrator.crypto.signing import SigningKey
from orchestrator.domain.audit_batch import MAX_BATCH, SHORT, AuditEntry, Batch, header_bytes
from orchestrator.domain.audit_event import Event, StoredEvent, canonical_time
from orchestrator.domain.digest import canonical
from orchestrator.domain.errors import Conflict, Invalid

EVENT_PREFIX = b"tocsin:audit:event:1\n"
GENESIS = hashlib.sha256(b"tocsin:audit:genesis:1\n").hexdigest()
"""The digest that the first batch names as its predecessor."""


def event_record(event: Event, seq: int) -> dict[str, Any]:
    """Return what is hashed, stored and exported of an event that `sealable` has sanitized."""
    return {
        "seq": seq,
        "id": event.id,
        "kind": event.kind.value,
        "time": canonical_time(event.time),
        "actor": event.actor,
        "subject": event.subject,
        "data": event.data,
    }


def record_leaf(record: dict[str, Any]) -> bytes:
    """Return the leaf hash of a record. Raise ValueError for what RFC 8785 cannot express."""
    return leaf_hash(EVENT_PREFIX + canonical(record))


def leaf(event: Event, seq: int) -> bytes:
    """Return the leaf hash of an event at its place. Raise Invalid where it cannot be sealed."""
    try:
        return record_leaf(event_record(event, seq))
    except ValueError as error:
        raise Invalid(
            f"event {seq} ({event.id}) cannot be sealed: {error}; "
            "pass it through sealable() when it is made"
        ) from error


def entry(event: Event, seq: int) -> AuditEntry:
    """Return the event at its place, ready to store and to seal. Raise Invalid as `leaf`."""
    hashed = leaf(event, seq)
    return AuditEntry(event_record(event, seq), hashed.hex())


def number(events: Iterable[Event], previous: Batch | None) -> list[AuditEntry]:
    """Return the events at the places after the previous batch. Raise Invalid as `leaf`."""
    start = previous.last_seq + 1 if previous else 1
    return [entry(event, seq) for seq, event in enumerate(events, start=start)]


def stored_leaf(event: StoredEvent, seq: int) -> bytes:
    """Return the leaf hash of a stored event at a place. Raise ValueError as `record_leaf`."""
    return record_leaf({"seq": seq, **event.record})


def number_stored(events: Iterable[StoredEvent], previous: Batch | None) -> list[AuditEntry]:
    """Return stored events, which are authentic, at the places after the previous batch."""
    start = previous.last_seq + 1 if previous else 1
    return [
        AuditEntry({"seq": seq, **event.record}, stored_leaf(event, seq).hex())
        for seq, event in enumerate(events, start=start)
    ]


def seal(
    entries: Sequence[AuditEntry], previous: Batch | None, key: SigningKey, now: datetime
) -> Batch:
    """Return the signed batch over 1 to 4096 entries that follow the previous batch without a gap.

    Hashes are recomputed from the records. Raise Conflict for a gap, and for a stored hash that
    does not match its record.
    """
    leaves = _checked_leaves(entries, previous)
    header = {
        "number": previous.number + 1 if previous else 1,
        "first_seq": entries[0].record["seq"],
        "last_seq": entries[-1].record["seq"],
        "root": merkle_root(leaves).hex(),
        "leaves": "".join(leaf.hex()[:SHORT] for leaf in leaves),
        "previous": previous.digest if previous else GENESIS,
        "sealed_at": canonical_time(now),
        "key_id": key.id,
    }
    signed = header_bytes(header)
    return Batch.model_validate(
        {**header, "digest": hashlib.sha256(signed).hexdigest(), "signature": key.sign(signed)}
    )


def _checked_leaves(entries: Sequence[AuditEntry], previous: Batch | None) -> list[bytes]:
    if not 1 <= len(entries) <= MAX_BATCH:
        raise Conflict(f"a batch seals 1 to {MAX_BATCH} events, not {len(entries)}")
    start = previous.last_seq + 1 if previous else 1
    leaves = []
    for seq, item in enumerate(entries, start=start):
        if item.record["seq"] != seq:
            given = f"event {item.record['seq']} ({item.record['id']})"
            raise Conflict(
                f"event {seq} must come next in the trail, but {given} was given to seal"
            )
        computed = record_leaf(item.record)
        if computed.hex() != item.leaf:
            name = f"event {seq} ({item.record['id']})"
            raise Conflict(
                f"{name} was changed in the store before it was sealed; "
                "find out by whom, then restore it"
            )
        leaves.append(computed)
    return leaves
