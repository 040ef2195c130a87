"""Any single change to an export is found, and a changed event is named."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.audit.verify.check import Report, verify
from orchestrator.domain.digest import canonical
from tests.harness.trails import KEY, export, grow


def _lines() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        export(Path(folder, "trail"), grow([3, 1, 5, 2, 8]))
        return Path(folder, "trail").read_bytes().splitlines(keepends=True)


LINES = _lines()
EVENT_LINES = [at for at, line in enumerate(LINES) if line.startswith(b'{"event"')]
_any_line = st.integers(0, len(LINES) - 1)


def _report(lines: Sequence[bytes], *, given_key: bool = True) -> Report:
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"".join(lines))
        file.flush()
        return verify(Path(file.name), KEY.public if given_key else None)


def _found(lines: Sequence[bytes]) -> str:
    """Return the findings about altered lines, with the public key and without it."""
    assert _report(lines, given_key=False).status != "intact"
    report = _report(lines)
    assert report.status != "intact"
    return " ".join(report.findings)


def _names(findings: str, event_line: bytes) -> bool:
    return re.search(rf"\bevent {json.loads(event_line)['event']['seq']}\b", findings) is not None


def _paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every inner place of a value."""
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [path for key, item in items for path in ((*at, key), *_paths(item, (*at, key)))]


def _with(value: Any, path: Sequence[Any], change: Any) -> Any:
    if not path:
        return change
    copy = value.copy()
    copy[path[0]] = _with(copy[path[0]], path[1:], change)
    return copy


def _at(value: Any, path: Sequence[Any]) -> Any:
    return _at(value[path[0]], path[1:]) if path else value


_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-5, 40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
)
_values = (
    _scalars
    | st.lists(_scalars, max_size=2)
    | st.dictionaries(st.text(max_size=3), _scalars, max_size=2)
)


def test_unchanged_export_is_intact() -> None:
    assert _report(LINES).findings == ()
    assert _report(LINES).status == "intact"


@given(at=_any_line, data=st.data())
@settings(max_examples=400, deadline=None)
def test_any_changed_field_is_found(at: int, data: st.DataObject) -> None:
    line = json.loads(LINES[at])
    path = data.draw(st.sampled_from(_paths(line)))
    value = data.draw(_values)
    changed = _written(_with(line, path, value))
    if changed == LINES[at]:
        return
    findings = _found([*LINES[:at], changed, *LINES[at + 1 :]])
    if at in EVENT_LINES:
        assert _names(findings, LINES[at])


@given(at=_any_line, data=st.data())
@settings(max_examples=200, deadline=None)
def test_any_removed_or_added_field_is_found(at: int, data: st.DataObject) -> None:
    line = json.loads(LINES[at])
    path = data.draw(st.sampled_from(_paths(line)))
    inside = _at(line, path[:-1])
    if isinstance(inside, dict) and data.draw(st.booleans()):
        changed = {**inside, data.draw(st.text(max_size=4)): data.draw(_scalars)}
    else:
        changed = (
            {k: v for k, v in inside.items() if k != path[-1]}
            if isinstance(inside, dict)
            else inside[:-1]
        )
    written = _written(_with(line, path[:-1], changed))
    if written != LINES[at]:
        _found([*LINES[:at], written, *LINES[at + 1 :]])


@given(at=_any_line, position=st.integers(0, 10_000), byte=st.integers(0, 255))
@settings(max_examples=400, deadline=None)
def test_any_changed_byte_is_found(at: int, position: int, byte: int) -> None:
    line = bytearray(LINES[at])
    if line[position % len(line)] == byte:
        return
    line[position % len(line)] = byte
    findings = _found([*LINES[:at], bytes(line), *LINES[at + 1 :]])
    if at in EVENT_LINES:
        assert _names(findings, LINES[at])


@given(at=_any_line)
@settings(deadline=None)
def test_any_deleted_line_is_found(at: int) -> None:
    findings = _found([*LINES[:at], *LINES[at + 1 :]])
    if at in EVENT_LINES:
        assert re.search(
            rf"event {json.loads(LINES[at])['event']['seq']}, sealed by batch \d, is missing",
            findings,
        )


@given(one=_any_line, two=_any_line)
@settings(max_examples=200, deadline=None)
def test_any_swapped_lines_are_found(one: int, two: int) -> None:
    if one == two:
        return
    lines = list(LINES)
    lines[one], lines[two] = lines[two], lines[one]
    findings = _found(lines)
    if one in EVENT_LINES and two in EVENT_LINES:
        assert _names(findings, LINES[one]) or _names(findings, LINES[two])


@given(source=_any_line, at=st.integers(0, len(LINES)))
@settings(max_examples=200, deadline=None)
def test_any_copied_line_is_found(source: int, at: int) -> None:
    findings = _found([*LINES[:at], LINES[source], *LINES[at:]])
    if source in EVENT_LINES and at > 0:
        assert _names(findings, LINES[source]) or "follows the end" in findings


@given(length=st.integers(0, sum(map(len, LINES)) - 1))
@settings(max_examples=200, deadline=None)
def test_cut_after_any_byte_is_found(length: int) -> None:
    _found([b"".join(LINES)[:length]])


@given(at=st.integers(0, len(LINES)), junk=st.binary(min_size=1, max_size=20))
@settings(deadline=None)
def test_any_inserted_line_is_found(at: int, junk: bytes) -> None:
    _found([*LINES[:at], junk, *LINES[at:]])
    _found([*LINES[:at], junk + b"\n", *LINES[at:]])


def _written(value: Any) -> bytes:
    return canonical(value) + b"\n" if _plain(value) else json.dumps(value).encode() + b"\n"


def _plain(value: Any) -> bool:
    try:
        canonical(value)
    except ValueError:
        return False
    return True
