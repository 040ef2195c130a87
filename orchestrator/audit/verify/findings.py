"""Findings of a verification: what differs between signed batches and the events of a file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orchestrator.audit.keys.history import KeyHistory
from orchestrator.audit.merkle import merkle_root
from orchestrator.crypto.signing import PublicKey
from orchestrator.domain.audit_batch import SHORT, Batch

MAX_LISTED = 100
"""Findings that a report lists in full; the rest is a number, so that no file can fill memory."""


class Findings:
    """Findings of one file, as sentences in the order of the file."""

    def __init__(self) -> None:
        self._listed: list[str] = []
        self._more = 0

    def add(self, sentence: str) -> None:
        """Add a finding."""
        if len(self._listed) < MAX_LISTED:
            self._listed.append(sentence)
        else:
            self._more += 1

    def extend(self, sentences: Iterable[str]) -> None:
        """Add several findings."""
        for sentence in sentences:
            self.add(sentence)

    @property
    def any(self) -> bool:
        """Whether there are findings."""
        return bool(self._listed)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The listed findings, and the number of further ones."""
        rest = (f"and {self._more} more",) if self._more else ()
        return (*self._listed, *rest)


@dataclass(frozen=True, slots=True)
class ReadEvent:
    """An event as it was read from the file."""

    line: int
    seq: int
    id: str
    stored: str
    """The leaf hash in the file, in hex."""
    computed: str
    """The leaf hash of the event's content, in hex."""

    def __str__(self) -> str:
        return f"event {self.seq} ({self.id}, line {self.line})"


def batch_findings(batch: Batch, events: Sequence[ReadEvent]) -> list[str]:
    """Return the findings of a batch whose signature is valid."""
    expected = batch.short_leaves
    inside = [event for event in events if batch.first_seq <= event.seq <= batch.last_seq]
    findings = (
        _foreign(batch, events)
        + _altered(batch, expected, inside)
        + _misplaced(inside)
        + _missing(batch, inside)
    )
    root = merkle_root([bytes.fromhex(event.computed) for event in inside]) if inside else b""
    if not findings and root.hex() != batch.root:
        # An attacker may find another text with the same first 64 bits; the root still differs.
        findings.append(f"{_of(batch)}: an event was altered, as the root over them does not match")
    return findings


def hash_findings(events: Iterable[ReadEvent]) -> list[str]:
    """Return the events whose content does not match their stored hash, where no batch is valid."""
    return [
        f"{event} was altered: its content does not match its stored hash"
        for event in events
        if event.stored != event.computed
    ]


def forged(line: int, batch: Batch, keys: KeyHistory) -> str:
    """Return the finding of a batch that the key in charge did not sign."""
    key, place = keys.current, f"batch {batch.number} (line {line})"
    for retired in keys.keys[:-1]:
        if batch.signed_by(retired):
            last = keys.last_batch_of(retired)
            return (
                f"{place} is signed by key {retired.id}, which was retired after batch {last}: "
                "forged with the retired key"
            )
    if batch.key_id != key.id:
        signer = printable(batch.key_id)
        return (
            f"{place} is signed by key {signer}, not by {key.id}: the wrong public key, or forged"
        )
    return f"{place} was altered or forged: its signature is invalid"


def key_changed(event: ReadEvent, was: PublicKey, now: PublicKey, batch: Batch) -> str:
    """Return the note of a change of the key."""
    return (
        f"{event} changes the audit key from {was.id} to {now.id}: key {now.id} signs what follows "
        f"batch {batch.number}"
    )


def change_missing(key: PublicKey, batch: Batch) -> str:
    """Return the finding of a batch that a key signed to which the trail never changed."""
    return (
        f"the change of the audit key to {key.id} is missing before batch {batch.number}: "
        "removed or altered"
    )


def printable(value: object) -> str:
    """Return a value of the file fit for a terminal: short, without control characters."""
    text = value if isinstance(value, str) else repr(value)
    return "".join(letter if letter.isprintable() else "?" for letter in text[:80])


def event_range(first: int, last: int) -> str:
    """Return `event 7` or `events 7..9`."""
    return f"event {first}" if first == last else f"events {first}..{last}"


def _of(batch: Batch) -> str:
    return f"batch {batch.number} ({event_range(batch.first_seq, batch.last_seq)})"


def _foreign(batch: Batch, events: Sequence[ReadEvent]) -> list[str]:
    outside = [event for event in events if not batch.first_seq <= event.seq <= batch.last_seq]
    why = (
        f"among the events of {_of(batch)}, which does not seal that: "
        "inserted, moved or renumbered, or its own batch was removed"
    )
    return [
        f"{_group(group)} {'is' if len(group) == 1 else 'are'} {why}" for group in _runs(outside)
    ]


def _altered(batch: Batch, expected: Sequence[str], inside: Sequence[ReadEvent]) -> list[str]:
    findings = []
    for event in inside:
        sealed = expected[event.seq - batch.first_seq]
        if event.computed[:SHORT] != sealed:
            origin = _origin(batch, expected, event)
            findings.append(
                f"{event} was altered: it is not what batch {batch.number} sealed{origin}"
            )
        elif event.stored != event.computed:
            findings.append(
                f"{event}: its stored hash was altered; "
                f"the event itself is as batch {batch.number} sealed it"
            )
    return findings


def _origin(batch: Batch, expected: Sequence[str], event: ReadEvent) -> str:
    """Return the true place of an event with an exchanged number, which its stored hash reveals."""
    sealed = event.stored[:SHORT]
    if sealed not in expected or expected.index(sealed) == event.seq - batch.first_seq:
        return ""
    seq = batch.first_seq + expected.index(sealed)
    return f" there; by its stored hash, it was event {seq}: swapped or renumbered"


def _misplaced(inside: Sequence[ReadEvent]) -> list[str]:
    findings: list[str] = []
    first: dict[int, ReadEvent] = {}
    newest: ReadEvent | None = None
    for event in inside:
        if event.seq in first:
            line = first[event.seq].line
            findings.append(f"{event} occurs twice, first in line {line}: one is inserted")
        elif newest is not None and event.seq < newest.seq:
            findings.append(f"{event} follows {newest}: reordered")
        first.setdefault(event.seq, event)
        newest = event if newest is None or event.seq > newest.seq else newest
    return findings


def _missing(batch: Batch, inside: Sequence[ReadEvent]) -> list[str]:
    present = sorted({event.seq for event in inside})
    ends = zip([batch.first_seq - 1, *present], [*present, batch.last_seq + 1], strict=True)
    gaps = [(before + 1, after - 1) for before, after in ends if after - before > 1]
    return [
        f"{event_range(first, last)}, sealed by batch {batch.number}, "
        f"{'is' if first == last else 'are'} missing: removed"
        for first, last in gaps
    ]


def _runs(events: Iterable[ReadEvent]) -> list[list[ReadEvent]]:
    runs: list[list[ReadEvent]] = []
    for event in events:
        if runs and event.seq == runs[-1][-1].seq + 1:
            runs[-1].append(event)
        else:
            runs.append([event])
    return runs


def _group(group: Sequence[ReadEvent]) -> str:
    if len(group) == 1:
        return str(group[0])
    first, last = group[0], group[-1]
    return (
        f"events {first.seq}..{last.seq} ({first.id} to {last.id}, lines {first.line}..{last.line})"
    )
