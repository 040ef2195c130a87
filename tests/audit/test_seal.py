"""Sealing chains batches without gaps and signs every header."""

from __future__ import annotations

import dataclasses

import pytest

from orchestrator.audit.seal import GENESIS, entry, leaf, number, seal
from orchestrator.crypto.signing import SigningKey
from orchestrator.domain.audit_batch import MAX_BATCH, AuditEntry, Batch
from orchestrator.domain.errors import Conflict, Invalid
from tests.harness.trails import KEY, START, event, grow


def test_batches_are_chained_by_number_sequence_and_digest() -> None:
    first, second = [row for row in grow([3, 5]) if isinstance(row, Batch)]
    assert (first.number, first.first_seq, first.last_seq, first.previous) == (1, 1, 3, GENESIS)
    assert (second.number, second.first_seq, second.last_seq, second.previous) == (
        2,
        4,
        8,
        first.digest,
    )
    assert first.header_digest() == first.digest


def test_batch_is_signed_over_its_whole_header() -> None:
    batch = next(row for row in grow([2]) if isinstance(row, Batch))
    assert batch.signed_by(KEY.public)
    changes = {
        "number": 9,
        "first_seq": 9,
        "last_seq": 9,
        "root": "0" * 64,
        "leaves": "0" * 16,
        "previous": "0" * 64,
    }
    for field, value in {
        **changes,
        "sealed_at": "2020-01-01T00:00:00.000000Z",
        "key_id": "x",
    }.items():
        assert not batch.model_copy(update={field: value}).signed_by(KEY.public), field


def test_another_key_does_not_verify_a_batch() -> None:
    batch = next(row for row in grow([2]) if isinstance(row, Batch))
    assert not batch.signed_by(SigningKey.new().public)


def test_leaf_depends_on_the_place_and_on_every_field() -> None:
    base = event(1)
    others = [
        base.model_copy(update={"id": "evt_x"}),
        base.model_copy(update={"actor": "x"}),
        base.model_copy(update={"data": {}}),
    ]
    leaves = {leaf(base, 1), leaf(base, 2), *(leaf(other, 1) for other in others)}
    assert len(leaves) == 5


def test_gap_is_not_sealed() -> None:
    with pytest.raises(Conflict, match="event 1 must come next in the trail, but event 2"):
        seal([entry(event(2), 2)], None, KEY, START)


def test_event_changed_in_the_store_before_sealing_is_not_sealed() -> None:
    [whole] = number([event(1)], None)
    changed = AuditEntry({**whole.record, "actor": "person:eve"}, whole.leaf)
    with pytest.raises(Conflict, match=r"event 1 \(evt_0001\) was changed in the store"):
        seal([changed], None, KEY, START)


def test_empty_and_oversized_batches_are_not_sealed() -> None:
    with pytest.raises(Conflict, match="1 to 4096 events, not 0"):
        seal([], None, KEY, START)
    with pytest.raises(Conflict, match="not 4097"):
        seal(number([event(1)] * (MAX_BATCH + 1), None), None, KEY, START)


def test_event_that_json_cannot_express_is_named() -> None:
    with pytest.raises(Invalid, match=r"event 7 \(evt_0001\) cannot be sealed.*sealable"):
        leaf(event(1).model_copy(update={"data": {"n": 2**70}}), 7)


def test_entries_are_frozen() -> None:
    [whole] = number([event(1)], None)
    with pytest.raises(dataclasses.FrozenInstanceError):
        whole.leaf = ""  # type: ignore[misc]
