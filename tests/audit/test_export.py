"""An export is complete, private and streamed, or it does not exist."""

from __future__ import annotations

import json
import stat
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.audit.export import Row, write_export
from orchestrator.audit.format import load_head
from orchestrator.audit.seal import GENESIS
from orchestrator.audit.verify.check import verify
from orchestrator.domain.audit_batch import AuditEntry
from orchestrator.domain.errors import Conflict, Invalid
from tests.harness.trails import KEY, START, grow

LATER = START + timedelta(days=1)


async def _streamed(rows: list[Row]) -> AsyncIterator[Row]:
    for row in rows:
        yield row


async def test_file_has_header_events_batches_and_head_in_order(tmp_path: Path) -> None:
    file = tmp_path / "trail.jsonl"
    head = await write_export(file, _streamed(grow([2, 1])), key=KEY, environment="lab", now=LATER)
    lines = [json.loads(line) for line in file.read_bytes().splitlines()]
    assert [next(iter(line)) for line in lines] == [
        "earlier_keys",
        "event",
        "event",
        "batch",
        "event",
        "batch",
        "head",
    ]
    assert lines[0] == {
        "earlier_keys": [],
        "environment": "lab",
        "exported_at": "2026-02-04T04:05:06.000007Z",
        "public_key": KEY.public.hex,
        "tocsin_audit": 1,
    }
    assert (head.batches, head.events) == (2, 3)


async def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    file = tmp_path / "trail.jsonl"
    await write_export(file, grow([1]), key=KEY, environment="lab", now=LATER)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_unsealed_end_is_refused_and_the_earlier_file_stays(tmp_path: Path) -> None:
    file = tmp_path / "trail.jsonl"
    file.write_text("earlier")
    with pytest.raises(Conflict, match="the last 2 events of the trail are not sealed yet"):
        await write_export(file, grow([2, 2])[:-1], key=KEY, environment="lab", now=LATER)
    assert [entry.name for entry in tmp_path.iterdir()] == ["trail.jsonl"]
    assert file.read_text() == "earlier"


async def test_empty_trail_is_intact(tmp_path: Path) -> None:
    file = tmp_path / "trail.jsonl"
    head = await write_export(file, [], key=KEY, environment="lab", now=LATER)
    assert (head.batches, head.events, head.digest) == (0, 0, GENESIS)
    assert verify(file, KEY.public).status == "intact"


async def test_event_made_unwritable_in_the_store_is_named(tmp_path: Path) -> None:
    rows = grow([1])
    assert isinstance(rows[0], AuditEntry)
    rows[0] = AuditEntry({**rows[0].record, "data": {"n": 2**80}}, rows[0].leaf)
    with pytest.raises(
        Invalid, match=r"event 1 \(evt_0001\) cannot be written.*changed in the store"
    ):
        await write_export(tmp_path / "trail.jsonl", rows, key=KEY, environment="lab", now=LATER)
    assert list(tmp_path.iterdir()) == []


async def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="name a file in a writable folder"):
        await write_export(
            tmp_path / "no" / "trail.jsonl", grow([1]), key=KEY, environment="lab", now=LATER
        )


async def test_head_is_read_from_the_last_line_or_the_whole_file(tmp_path: Path) -> None:
    file, kept = tmp_path / "trail.jsonl", tmp_path / "head"
    head = await write_export(file, grow([1, 2]), key=KEY, environment="lab", now=LATER)
    kept.write_bytes(file.read_bytes().splitlines()[-1] + b"\n")
    assert load_head(kept) == load_head(file) == head


@pytest.mark.parametrize("content", [b"", b"\n", b"{}", b"\xff", b'{"head":{"batches":1}}'])
def test_file_without_a_head_is_refused(tmp_path: Path, content: bytes) -> None:
    kept = tmp_path / "head"
    kept.write_bytes(content)
    with pytest.raises(Invalid, match="not the head of an audit export"):
        load_head(kept)
