"""How events become evidence: each one hashed, batches of them chained, each batch signed.

The signed header of a batch holds the Merkle root over its events and, so that a verifier can name the one event that was
changed even by somebody who recomputed every hash, the first eight bytes of every leaf.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from orchestrator.audit.merkle import leaf_hash, merkle_root
from orchestrator.crypto.signing import SigningKey
from orchestrator.domain.audit_batch import MAX_BATCH, SHORT, Batch, Entry, header_bytes
from orchestrator.domain.audit_event import Event, canonical_time
from orchestrator.domain.digest import canonical
from orchestrator.domain.errors import Conflict, Invalid

EVENT_PREFIX = b"tocsin:audit:event:1\n"
GENESIS = hashlib.sha256(b"tocsin:audit:genesis:1\n").hexdigest()
"""What the first batch names as its predecessor."""


def event_record(event: Event, seq: int) -> dict[str, Any]:
    """What is hashed, stored and exported of an event; make the event with `safe.sealable` first."""
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
    """SHA-256 of a record under its own prefix. Raises ValueError for what RFC 8785 cannot write."""
    return leaf_hash(EVENT_PREFIX + canonical(record))


def leaf(event: Event, seq: int) -> bytes:
    """SHA-256 of an event at its place in the trail. Raises Invalid, naming the event, for data that cannot be sealed."""
    try:
        return record_leaf(event_record(event, seq))
    except ValueError as error:
        raise Invalid(
            f"event {seq} ({event.id}) cannot be sealed: {error}; pass it through sealable() when it is made"
        ) from error


def entry(event: Event, seq: int) -> Entry:
    """The event at its place, ready to store and to seal. Raises Invalid as `leaf`."""
    hashed = leaf(event, seq)
    return Entry(event_record(event, seq), hashed.hex())


def number(events: Iterable[Event], previous: Batch | None) -> list[Entry]:
    """The events at the places that follow the previous batch. Raises Invalid as `leaf`."""
    start = previous.last_seq + 1 if previous else 1
    return [entry(event, seq) for seq, event in enumerate(events, start=start)]


def seal(entries: Sequence[Entry], previous: Batch | None, key: SigningKey, now: datetime) -> Batch:
    """The signed batch over the entries, which must follow the previous batch without a gap, 1 to 4096 of them.

    Hashes are computed from the records anew. Raises Conflict for a gap or a stored hash that does not fit its record.
    """
    leaves = _checked_leaves(entries, previous)
    header = {
        "number": previous.number + 1 if previous else 1,
        "first_seq": entries[0].record["seq"],
        "last_seq": entries[-1].record["seq"],
        "root": merkle_root(leaves).hex(),
        "leaves": "".join(each.hex()[:SHORT] for each in leaves),
        "previous": previous.digest if previous else GENESIS,
        "sealed_at": canonical_time(now),
        "key_id": key.id,
    }
    signed = header_bytes(header)
    return Batch.model_validate(
        {**header, "digest": hashlib.sha256(signed).hexdigest(), "signature": key.sign(signed)}
    )


def _checked_leaves(entries: Sequence[Entry], previous: Batch | None) -> list[bytes]:
    if not 1 <= len(entries) <= MAX_BATCH:
        raise Conflict(f"a batch seals 1 to {MAX_BATCH} events, not {len(entries)}")
    start = previous.last_seq + 1 if previous else 1
    leaves = []
    for seq, each in enumerate(entries, start=start):
        if each.record["seq"] != seq:
            given = f"event {each.record['seq']} ({each.record['id']})"
            raise Conflict(
                f"event {seq} must come next in the trail, but {given} was given to seal"
            )
        computed = record_leaf(each.record)
        if computed.hex() != each.leaf:
            name = f"event {seq} ({each.record['id']})"
            raise Conflict(
                f"{name} was changed in the store before it was sealed; find out by whom, then mend it"
            )
        leaves.append(computed)
    return leaves
