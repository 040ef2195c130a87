"""A manipulation of a trail is found and named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.audit.export import Row
from orchestrator.audit.format import BatchLine
from orchestrator.audit.seal import record_leaf
from orchestrator.audit.verify.check import Kept, Report, verify
from orchestrator.crypto.signing import SigningKey
from orchestrator.domain.audit_batch import AuditEntry, Batch
from orchestrator.domain.digest import canonical
from tests.harness.trails import KEY, export, grow

SIZES = [4, 1, 6, 3]


def _report(path: Path, rows: list[Row], **options: Any) -> Report:
    """Return the report of an export that is itself correct, from a changed store."""
    export(path / "trail", rows)
    return verify(path / "trail", KEY.public, **options)


def _at(rows: list[Row], seq: int) -> int:
    return next(
        at
        for at, row in enumerate(rows)
        if isinstance(row, AuditEntry) and row.record["seq"] == seq
    )


def _batch_at(rows: list[Row], number: int) -> int:
    return next(
        at for at, row in enumerate(rows) if isinstance(row, Batch) and row.number == number
    )


def _changed(row: Row, *, recompute: bool, **fields: Any) -> AuditEntry:
    assert isinstance(row, AuditEntry)
    record = {**row.record, **fields}
    return AuditEntry(record, record_leaf(record).hex() if recompute else row.leaf)


def test_unchanged_trail_is_intact_and_counted(tmp_path: Path) -> None:
    report = _report(tmp_path, grow(SIZES))
    assert (report.status, report.findings, report.notes) == ("intact", (), ())
    assert (report.events, report.batches, report.key_id) == (14, 4, KEY.id)
    assert (report.first, report.last) == (
        "2026-02-03T04:05:07.000007Z",
        "2026-02-03T04:05:20.000007Z",
    )
    assert report.head is not None
    assert report.head.events == 14


@pytest.mark.parametrize("recompute", [False, True], ids=["hash_kept", "hash_recomputed"])
def test_altered_event_alone_is_named_even_with_a_recomputed_hash(
    tmp_path: Path, recompute: bool
) -> None:
    rows = grow(SIZES)
    at = _at(rows, 7)
    rows[at] = _changed(rows[at], recompute=recompute, actor="person:eve")
    report = _report(tmp_path, rows)
    assert report.status == "altered"
    assert report.findings == (
        "event 7 (evt_0007, line 10) was altered: it is not what batch 3 sealed",
    )


def test_event_altered_with_all_hashes_and_the_root_recomputed_breaks_the_signature(
    tmp_path: Path,
) -> None:
    rows = grow(SIZES)
    forged = grow(SIZES, key=SigningKey.new())
    at, batch_at = _at(rows, 7), _batch_at(rows, 3)
    rows[at] = _changed(rows[at], recompute=True, actor="person:eve")
    real, other = rows[batch_at], forged[batch_at]
    assert isinstance(real, Batch)
    assert isinstance(other, Batch)
    resealed = real.model_copy(update={"root": "1" * 64, "signature": other.signature})
    rows[batch_at] = resealed.model_copy(update={"digest": resealed.header_digest()})
    report = _report(tmp_path, rows)
    assert report.findings == (
        "batch 3 (line 15) was altered or forged: its signature is invalid; it covers events 6..11 (evt_0006 to evt_0011)",
    )


def test_removed_event_is_named(tmp_path: Path) -> None:
    rows = grow(SIZES)
    del rows[_at(rows, 8)]
    assert _report(tmp_path, rows).findings == ("event 8, sealed by batch 3, is missing: removed",)


def test_inserted_event_is_named(tmp_path: Path) -> None:
    rows = grow(SIZES)
    rows.insert(_at(rows, 8), _changed(rows[0], recompute=True, seq=99, id="evt_new"))
    [problem] = _report(tmp_path, rows).findings
    assert problem.startswith(
        "event 99 (evt_new, line 11) is among the events of batch 3 (events 6..11)"
    )


def test_event_inserted_under_a_taken_number_is_named(tmp_path: Path) -> None:
    rows = grow(SIZES)
    rows.insert(_at(rows, 8), _changed(rows[0], recompute=True, seq=8, id="evt_new"))
    assert (
        "event 8 (evt_new, line 11) was altered: it is not what batch 3 sealed"
        in _report(tmp_path, rows).findings
    )


def test_rows_with_exchanged_numbers_are_named_with_their_true_places(tmp_path: Path) -> None:
    rows = grow(SIZES)
    one, two = _at(rows, 7), _at(rows, 9)
    rows[one], rows[two] = (
        _changed(rows[two], recompute=False, seq=7),
        _changed(rows[one], recompute=False, seq=9),
    )
    first, second = _report(tmp_path, rows).findings
    assert "event 7 (evt_0009, line 10) was altered" in first
    assert "it was event 9: swapped" in first
    assert "it was event 7: swapped" in second


def test_reordered_events_are_named(tmp_path: Path) -> None:
    rows = grow(SIZES)
    one, two = _at(rows, 7), _at(rows, 8)
    rows[one], rows[two] = rows[two], rows[one]
    assert _report(tmp_path, rows).findings == (
        "event 7 (evt_0007, line 11) follows event 8 (evt_0008, line 10): reordered",
    )


def test_removed_batch_is_named_with_its_events(tmp_path: Path) -> None:
    rows = grow(SIZES)
    del rows[_batch_at(rows, 3)]
    first, second = _report(tmp_path, rows).findings
    assert (
        first
        == "batch 3 is missing before batch 4 (line 18): removed; no signature covers events 6..11"
    )
    assert second.startswith(
        "events 6..11 (evt_0006 to evt_0011, lines 9..14) are among the events of batch 4 (events 12..14)"
    )


def test_batch_removed_with_its_events_is_named(tmp_path: Path) -> None:
    rows = grow(SIZES)
    del rows[_at(rows, 6) : _batch_at(rows, 3) + 1]
    assert _report(tmp_path, rows).findings == (
        "batch 3 is missing before batch 4 (line 12): removed; no signature covers events 6..11",
    )


def test_moved_batch_is_named(tmp_path: Path) -> None:
    rows = grow(SIZES)
    three = rows[_at(rows, 6) : _batch_at(rows, 3) + 1]
    moved = [row for row in rows if row not in three] + three
    problems = _report(tmp_path, moved).findings
    assert (
        "batch 3 is missing before batch 4 (line 12): removed; no signature covers events 6..11"
        in problems
    )
    assert "batch 3 (line 19) follows batch 4: reordered, or a copy inserted" in problems


def test_trail_cut_and_written_again_is_found(tmp_path: Path) -> None:
    rows = grow(SIZES)
    two = rows[_batch_at(rows, 2)]
    assert isinstance(two, Batch)
    fork = grow([2, 1], after=two.model_copy(update={"digest": "2" * 64}), first=50)
    report = _report(tmp_path, rows[: _batch_at(rows, 2) + 1] + fork)
    assert report.findings == (
        "batch 3 (line 11) does not continue the batch before it: the trail was cut there and written again",
    )


def test_unsealed_events_are_named(tmp_path: Path) -> None:
    file = tmp_path / "trail"
    export(file, grow(SIZES))
    lines = file.read_bytes().splitlines(keepends=True)
    del lines[-2]
    file.write_bytes(b"".join(lines))
    problems = verify(file, KEY.public).findings
    assert problems[0] == (
        "events 12..14 (evt_0012 to evt_0014) at the end of the file are sealed by no batch: inserted, or their batch was removed"
    )


def test_cut_end_is_found_without_an_earlier_head(tmp_path: Path) -> None:
    file = tmp_path / "trail"
    export(file, grow(SIZES))
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:15]))
    assert verify(file, KEY.public).findings == (
        "the end of the trail is missing: the file was cut off after batch 3, event 11",
    )
    file.write_bytes(b"".join([*lines[:15], lines[-1]]))
    problems = verify(file, KEY.public).findings
    assert any("signs 14 events, but the file holds 11" in problem for problem in problems)
    assert any(
        "signs batch 4 as the last, but the file ends with batch 3, event 11" in problem
        for problem in problems
    )


def test_end_cut_in_the_store_is_found_by_an_earlier_head(tmp_path: Path) -> None:
    rows = grow(SIZES)
    kept = export(tmp_path / "earlier", rows)
    shorter = rows[: _batch_at(rows, 3) + 1]
    assert _report(tmp_path, shorter).status == "intact"  # nothing in the file can tell
    [problem] = _report(tmp_path, shorter, kept=Kept(head=kept)).findings
    assert problem.startswith(
        "the head kept elsewhere names batch 4 and 14 events, but the file ends with batch 3, event 11"
    )


def test_trail_rewritten_with_the_key_is_found_by_an_earlier_head(tmp_path: Path) -> None:
    rows = grow(SIZES)
    kept = export(tmp_path / "earlier", rows)
    three = rows[_batch_at(rows, 3)]
    assert isinstance(three, Batch)
    rewritten = rows[: _batch_at(rows, 3) + 1] + grow([3, 2], after=three, first=70)
    [problem] = _report(tmp_path, rewritten, kept=Kept(head=kept)).findings
    assert problem.startswith("batch 4 is not the one in the head kept elsewhere")


def test_trail_that_grew_since_matches_an_earlier_head(tmp_path: Path) -> None:
    rows = grow(SIZES)
    kept = export(tmp_path / "earlier", rows)
    newest = rows[-1]
    assert isinstance(newest, Batch)
    assert (
        _report(tmp_path, rows + grow([2], after=newest, first=15), kept=Kept(head=kept)).status
        == "intact"
    )


def test_report_without_a_public_key_notes_the_self_asserted_key(tmp_path: Path) -> None:
    file = tmp_path / "trail"
    export(file, grow([2]))
    report = verify(file)
    assert report.status == "intact"
    assert report.notes[0].startswith(f"self-asserted key {KEY.id}")


def test_trail_made_with_another_key_is_intact_only_as_self_asserted(tmp_path: Path) -> None:
    eve = SigningKey.new()
    file = tmp_path / "trail"
    export(file, grow([2], key=eve), eve)
    assert verify(file).status == "intact"
    report = verify(file, KEY.public)
    assert report.status == "altered"
    assert (
        f"the file says that key {eve.id} sealed it, but the key given is {KEY.id}"
        in report.findings[0]
    )


def test_altered_header_is_found(tmp_path: Path) -> None:
    file = tmp_path / "trail"
    export(file, grow([2]))
    file.write_bytes(file.read_bytes().replace(b'"environment":"test"', b'"environment":"prod"', 1))
    assert verify(file, KEY.public).findings == (
        "line 1 was altered: it is not the header that the head of the file signs",
    )


@pytest.mark.parametrize(
    "spoil",
    [
        lambda line: line.replace(b'"actor":', b'"actor":"person:eve","actor":'),
        lambda line: line.replace(b":", b": ", 1),
        lambda line: line.replace(b"\n", b"\r\n"),
        lambda line: line.replace(b'"list":[3', b'"list":[3.0'),
        lambda line: line.replace(b'"leaf":"', b'"leaf":"\\u0041'),
    ],
    ids=["a_key_twice", "a_space", "carriage_return", "number_spelled_anew", "escape"],
)
def test_event_in_other_than_canonical_form_is_found(
    tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    report = _respelled(tmp_path, 3, spoil)
    assert report.status == "altered"
    assert "event 3 (evt_0003" in report.findings[0]


@pytest.mark.parametrize(
    ("at", "named"), [(0, "line 1 "), (5, "batch 1 (line 6) "), (6, "the head in line 7 ")]
)
@pytest.mark.parametrize(
    "spoil",
    [
        lambda line: line.replace(b":", b": ", 1),
        lambda line: line.replace(b"\n", b"\r\n"),
        lambda line: b'{"\\u%04x' % line[2] + line[3:],
    ],
    ids=["a_space", "carriage_return", "escape"],
)
def test_any_line_in_other_than_canonical_form_is_found(
    tmp_path: Path, at: int, named: str, spoil: Callable[[bytes], bytes]
) -> None:
    [problem] = _respelled(tmp_path, at, spoil).findings
    assert problem.startswith(named)


def _respelled(path: Path, at: int, spoil: Callable[[bytes], bytes]) -> Report:
    file = path / "trail"
    export(file, grow([4]))
    lines = file.read_bytes().splitlines(keepends=True)
    assert spoil(lines[at]) != lines[at]
    lines[at] = spoil(lines[at])
    file.write_bytes(b"".join(lines))
    return verify(file, KEY.public)


def test_altered_digest_is_named_once(tmp_path: Path) -> None:
    rows = grow(SIZES)
    at = _batch_at(rows, 2)
    two = rows[at]
    assert isinstance(two, Batch)
    rows[at] = two.model_copy(update={"digest": "2" * 64})
    [problem] = _report(tmp_path, rows).findings
    assert problem.startswith("batch 2 (line 8) was altered: its digest")


def test_events_that_match_the_short_hashes_but_not_the_root_are_found(tmp_path: Path) -> None:
    rows = grow([2])
    batch = rows[-1]
    assert isinstance(batch, Batch)
    colliding = batch.model_copy(update={"root": "1" * 64})
    signed = colliding.model_copy(
        update={
            "digest": colliding.header_digest(),
            "signature": KEY.sign(colliding.header_bytes()),
        }
    )
    report = _report(tmp_path, [*rows[:-1], signed])
    assert report.findings == (
        "batch 1 (events 1..2): an event was altered, as the root over them does not match",
    )


def test_head_forged_for_a_cut_file_is_found(tmp_path: Path) -> None:
    file = tmp_path / "trail"
    whole = export(file, grow(SIZES))
    lines = file.read_bytes().splitlines(keepends=True)
    last = BatchLine.model_validate_json(lines[14]).batch
    forged = whole.model_copy(
        update={"batches": last.number, "events": last.last_seq, "digest": last.digest}
    )
    file.write_bytes(b"".join([*lines[:15], forged.line()]))
    [problem] = verify(file, KEY.public).findings
    assert problem.startswith("the head was altered or forged")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"hello",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"tocsin_audit":2,"environment":"x","exported_at":"x","public_key":"'
        + b"0" * 64
        + b'"}\n',
        b'{"tocsin_audit":1,"environment":"x","exported_at":"x","public_key":"abc"}\n',
    ],
    ids=["empty", "blank", "text", "binary", "depth_bomb", "newer_form", "no_key"],
)
def test_file_that_is_no_export_is_unreadable(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "trail"
    file.write_bytes(content)
    assert verify(file).status == "unreadable"


def test_missing_file_and_a_folder_are_unreadable(tmp_path: Path) -> None:
    assert verify(tmp_path / "none").status == "unreadable"
    assert verify(tmp_path).status == "unreadable"


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 100_000 + b"\n",
        b"9" * 10_000 + b"\n",
        b'{"event":{"seq":true,"id":1},"leaf":"x"}\n',
        b'{"event":{"seq":1e999,"id":"x"},"leaf":"x"}\n',
        b'{"event":{"seq":' + b"9" * 30 + b',"id":"x"},"leaf":"x"}\n',
        b'{"event":{"id":"\\ud800","seq":1},"leaf":"x"}\n',
        b'{"event":{"a":' + b"[" * 900 + b"]" * 900 + b',"id":"x","seq":1},"leaf":"x"}\n',
        b'{"event":{"id":"x","seq":1},"leaf":"\\ud800"}\n',
        b'{"batch":{"number":1}}\n',
        b'{"batch":{"first_seq":1,"last_seq":999999999999999999999}}\n',
        b'{"head":{}}\n',
        b"null\n",
        b"\x00\n",
        b"\n",
    ],
)
def test_hostile_line_is_reported_and_never_raises(tmp_path: Path, line: bytes) -> None:
    file = tmp_path / "trail"
    export(file, grow([2, 2]))
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:2], line, *lines[2:]]))
    report = verify(file, KEY.public)
    assert report.status == "altered"
    assert "line 3" in report.findings[0]


def test_text_of_a_file_has_no_control_characters(tmp_path: Path) -> None:
    rows = grow([2])
    rows[0] = _changed(rows[0], recompute=True, id="evt\x1b[2J\u202e" + "x" * 10_000)
    text = " ".join(_report(tmp_path, rows).findings)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert len(text) < 1000


def test_file_full_of_faults_has_a_short_report(tmp_path: Path) -> None:
    file = tmp_path / "trail"
    export(file, grow([1]))
    file.write_bytes(file.read_bytes() + b"garbage\n" * 5000)
    problems = verify(file, KEY.public).findings
    assert len(problems) == 101
    assert problems[-1] == "and 9900 more"


def test_endless_events_without_a_batch_use_bounded_memory(tmp_path: Path) -> None:
    file = tmp_path / "trail"
    export(file, grow([1]))
    lines = file.read_bytes().splitlines(keepends=True)
    record = {**json.loads(lines[1])["event"], "data": {}}
    endless = b'{"event":' + canonical(record) + b',"leaf":""}\n'
    file.write_bytes(b"".join([lines[0], *[endless] * 20_000]))
    report = verify(file, KEY.public)
    assert report.events == 20_000
    assert any(
        "before line" in problem and "sealed by no batch" in problem for problem in report.findings
    )


def test_event_of_an_unknown_kind_is_exported_and_named(tmp_path: Path) -> None:
    rows = grow([3])
    rows[1] = _changed(rows[1], recompute=False, kind="run:step:never")
    assert _report(tmp_path, rows).findings == (
        "event 2 (evt_0002, line 3) was altered: it is not what batch 1 sealed",
    )
