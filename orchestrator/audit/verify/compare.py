"""What is wrong between a signed batch and the events that stand before it in a file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orchestrator.audit.merkle import merkle_root
from orchestrator.domain.audit_batch import SHORT, Batch


@dataclass(frozen=True, slots=True)
class Found:
    """An event as it was read: where, which, the hash that stands beside it, and the hash of what it says."""

    line: int
    seq: int
    id: str
    stored: str
    computed: str

    def __str__(self) -> str:
        return f"event {self.seq} ({self.id}, line {self.line})"


def faults(batch: Batch, found: Sequence[Found]) -> list[str]:
    """Sentences, in the order of the events, for a batch whose signature holds; empty where all is as it was sealed."""
    expected = batch.short_leaves
    inside = [each for each in found if batch.first_seq <= each.seq <= batch.last_seq]
    problems = (
        _strangers(batch, found)
        + _altered(batch, expected, inside)
        + _misplaced(inside)
        + _missing(batch, inside)
    )
    if (
        not problems
        and merkle_root([bytes.fromhex(each.computed) for each in inside]).hex() != batch.root
    ):
        # Only for who finds another text with the same first 64 bits; the root still tells.
        problems.append(f"{_of(batch)}: an event was altered, for the root over them does not fit")
    return problems


def faults_unsigned(found: Iterable[Found]) -> list[str]:
    """The same where no signature vouches for a list: events whose content does not fit the hash beside them."""
    return [
        f"{each} was altered: its content does not fit the hash beside it"
        for each in found
        if each.stored != each.computed
    ]


def span(first: int, last: int) -> str:
    """`event 7` or `events 7..9`."""
    return f"event {first}" if first == last else f"events {first}..{last}"


def _of(batch: Batch) -> str:
    return f"batch {batch.number} ({span(batch.first_seq, batch.last_seq)})"


def _strangers(batch: Batch, found: Sequence[Found]) -> list[str]:
    outside = [each for each in found if not batch.first_seq <= each.seq <= batch.last_seq]
    why = f"among the events of {_of(batch)}, which does not seal that: inserted, moved or renumbered, or its own batch was removed"
    return [
        f"{_group(group)} {'stands' if len(group) == 1 else 'stand'} {why}"
        for group in _runs(outside)
    ]


def _altered(batch: Batch, expected: Sequence[str], inside: Sequence[Found]) -> list[str]:
    problems = []
    for each in inside:
        sealed = expected[each.seq - batch.first_seq]
        if each.computed[:SHORT] != sealed:
            problems.append(
                f"{each} was altered: it is not what batch {batch.number} sealed{_whence(batch, expected, each)}"
            )
        elif each.stored != each.computed:
            problems.append(
                f"{each}: the hash beside it was altered; the event itself is as batch {batch.number} sealed it"
            )
    return problems


def _whence(batch: Batch, expected: Sequence[str], each: Found) -> str:
    """For rows whose numbers were exchanged, the hash beside the content still tells its true place."""
    sealed = each.stored[:SHORT]
    if sealed in expected and expected.index(sealed) != each.seq - batch.first_seq:
        return f" there; by the hash beside it, it was event {batch.first_seq + expected.index(sealed)}: swapped or renumbered"
    return ""


def _misplaced(inside: Sequence[Found]) -> list[str]:
    problems: list[str] = []
    seen: dict[int, Found] = {}
    newest: Found | None = None
    for each in inside:
        if each.seq in seen:
            problems.append(
                f"{each} stands in the file twice, the first time in line {seen[each.seq].line}: one is inserted"
            )
        elif newest is not None and each.seq < newest.seq:
            problems.append(f"{each} stands after {newest}: reordered")
        seen.setdefault(each.seq, each)
        newest = each if newest is None or each.seq > newest.seq else newest
    return problems


def _missing(batch: Batch, inside: Sequence[Found]) -> list[str]:
    present = sorted({each.seq for each in inside})
    ends = zip([batch.first_seq - 1, *present], [*present, batch.last_seq + 1], strict=True)
    gaps = [(before + 1, after - 1) for before, after in ends if after - before > 1]
    return [
        f"{span(*gap)}, sealed by batch {batch.number}, {'is' if gap[0] == gap[1] else 'are'} missing: removed"
        for gap in gaps
    ]


def _runs(found: Iterable[Found]) -> list[list[Found]]:
    runs: list[list[Found]] = []
    for each in found:
        if runs and each.seq == runs[-1][-1].seq + 1:
            runs[-1].append(each)
        else:
            runs.append([each])
    return runs


def _group(group: Sequence[Found]) -> str:
    if len(group) == 1:
        return str(group[0])
    first, last = group[0], group[-1]
    return (
        f"events {first.seq}..{last.seq} ({first.id} to {last.id}, lines {first.line}..{last.line})"
    )
