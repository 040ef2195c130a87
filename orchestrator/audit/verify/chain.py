"""The chain of an export: events under their batch, batches on each other, all under the head."""

from __future__ import annotations

import json
import re
from typing import Any, TypeGuard

from pydantic import ValidationError

from orchestrator.audit.format import BatchLine, Head, HeadLine, batch_line, event_line_around
from orchestrator.audit.merkle import GrowingTree, leaf_hash
from orchestrator.audit.restored import Restore, parse_restore
from orchestrator.audit.seal import EVENT_PREFIX, GENESIS
from orchestrator.audit.transparency.tree_head import batch_leaf
from orchestrator.audit.verify.findings import (
    Findings,
    ReadEvent,
    batch_findings,
    event_range,
    hash_findings,
)
from orchestrator.audit.verify.remembered import Remembered
from orchestrator.crypto.signing import PublicKey
from orchestrator.domain.audit_batch import MAX_BATCH, Batch
from orchestrator.domain.digest import canonical

_MAX_WAITING = 2 * MAX_BATCH
"""Events in memory that wait for their batch."""

_TRACE = re.compile(rb'"seq":([0-9]{1,16}),"subject"')


class Chain:
    """A reader of the lines after the header that collects findings and raises for no content."""

    def __init__(
        self, key: PublicKey, header_digest: str, remembered: Remembered, findings: Findings
    ) -> None:
        self.key = key
        self.events = 0
        self.batches = 0
        self.first_time: str | None = None
        self.last_time: str | None = None
        self.head: Head | None = None
        self.restores: list[tuple[str, Restore]] = []
        self.explained: list[str] = []
        self._restores_waiting: list[tuple[str, Restore]] = []
        self._header_digest = header_digest
        self._remembered = remembered
        self._findings = findings
        self._waiting: list[ReadEvent] = []
        self._trusted: Batch | None = None  # the newest batch whose signature holds
        self._doubtful = 0  # batch lines since then whose signature does not
        self._last_seq = 0
        self._newest_digest = GENESIS  # of the last batch line, trusted or not
        self._tree = GrowingTree()  # over the batches, as long as they are trusted

    def read(self, number: int, line: bytes) -> None:
        """Read the next line of the file."""
        if self.head is not None:
            self._findings.add(
                f"line {number} follows the end of the trail: inserted, or the head was moved"
            )
        match _parsed(line):
            case {"event": dict() as record, "leaf": str() as leaf, **rest} if not rest:
                self._event(number, line, record, leaf)
            case {"batch": dict()}:
                self._batch(number, line)
            case {"head": dict()}:
                self._head(number, line)
            case _:
                self._findings.add(
                    f"line {number}{_traces(line)} is not a line of an audit trail: "
                    "inserted, damaged or cut off"
                )

    def finish(self) -> None:
        """Check the end, after the last line."""
        if self._waiting:
            self._unsealed("at the end of the file")
        if self.head is None:
            self._findings.add(
                "the end of the trail is missing: the file was cut off after " + self._reached()
            )
        else:
            self._check_head(self.head)
        reached = self._trusted.number if self._trusted else 0
        self._remembered.check_end(reached, self._last_seq, self._reached())
        open_, self.explained = self._remembered.settle([each for _, each in self.restores])
        self._findings.extend(open_)

    def _event(self, number: int, line: bytes, record: dict[str, Any], leaf: str) -> None:
        self.events += 1
        seq, event_id = record.get("seq"), record.get("id")
        content, hashed = _canonical(record), _canonical(leaf)
        if not (_is_seq(seq) and isinstance(event_id, str) and content and hashed):
            self._findings.add(
                f"line {number} was altered: event {_printable(seq)} ({_printable(event_id)}) "
                "does not have the form of an event"
            )
            return
        if event_line_around(content, hashed) != line:
            self._findings.add(
                f"line {number}, event {seq} ({_printable(event_id)}), was altered: "
                "it is not in canonical form"
            )
        self._note_time(record.get("time"))
        event = ReadEvent(
            number, seq, _printable(event_id), leaf, leaf_hash(EVENT_PREFIX + content).hex()
        )
        self._remembered.check_event(event)
        if restore := parse_restore(record):
            self._restores_waiting.append((str(event), restore))
        self._last_seq = max(self._last_seq, seq)
        self._waiting.append(event)
        if len(self._waiting) > _MAX_WAITING:
            self._unsealed(f"before line {number}")

    def _batch(self, number: int, line: bytes) -> None:
        self.batches += 1
        waiting, self._waiting = self._waiting, []
        try:
            batch = BatchLine.model_validate_json(line).batch
        except ValidationError as error:
            self._doubt(f"the batch in line {number} was altered: {_reason(error)}", waiting)
            return
        self._newest_digest = batch.header_digest()
        if not batch.signed_by(self.key):
            self._doubt(self._forged(number, batch), waiting)
            return
        if batch_line(batch) != line or batch.digest != self._newest_digest:
            self._findings.add(
                f"batch {batch.number} (line {number}) was altered: "
                "its digest is wrong or it is not in canonical form"
            )
        self._trust(number, batch.model_copy(update={"digest": self._newest_digest}), waiting)

    def _trust(self, number: int, batch: Batch, waiting: list[ReadEvent]) -> None:
        before = self._trusted.number if self._trusted else 0
        if batch.number <= before:
            self._findings.add(
                f"batch {batch.number} (line {number}) follows batch {before}: "
                "reordered, or a copy inserted"
            )
            self._waiting = waiting  # their own batch may still follow
            return
        self._findings.extend(self._gap(number, batch, batch.number - before - 1))
        self._findings.extend(batch_findings(batch, waiting))
        self._tree.add(batch_leaf(batch.digest))
        self._remembered.check_batch(batch, self._tree)
        self.restores += self._restores_waiting
        self._restores_waiting = []
        self._trusted, self._doubtful = batch, 0

    def _gap(self, number: int, batch: Batch, skipped: int) -> list[str]:
        """Return what is wrong between the newest trusted batch and this one."""
        before = self._trusted
        last_number, last_seq, digest = (
            (before.number, before.last_seq, before.digest) if before else (0, 0, GENESIS)
        )
        if skipped > self._doubtful:
            first, last = last_number + 1, batch.number - 1
            which = f"batch {first} is" if first == last else f"batches {first}..{last} are"
            unsigned = event_range(last_seq + 1, batch.first_seq - 1)
            return [
                (
                    f"{which} missing before batch {batch.number} (line {number}): removed; "
                    f"no signature covers {unsigned}"
                )
            ]
        if skipped == 0 and (batch.previous != digest or batch.first_seq != last_seq + 1):
            return [
                (
                    f"batch {batch.number} (line {number}) does not continue the batch before it: "
                    "the trail was cut there and written again"
                )
            ]
        return []

    def _doubt(self, finding: str, waiting: list[ReadEvent]) -> None:
        """Add the findings of an untrusted batch and of its events' stored hashes."""
        self._doubtful += 1
        covered = (
            f"; it covers {event_range(waiting[0].seq, waiting[-1].seq)} "
            f"({waiting[0].id} to {waiting[-1].id})"
            if waiting
            else ""
        )
        self._findings.add(finding + covered)
        self._findings.extend(hash_findings(waiting))

    def _forged(self, number: int, batch: Batch) -> str:
        if batch.key_id != self.key.id:
            signer = _printable(batch.key_id)
            return (
                f"batch {batch.number} (line {number}) is signed by key {signer}, "
                f"not by {self.key.id}: the wrong public key, or forged"
            )
        return (
            f"batch {batch.number} (line {number}) was altered or forged: its signature is invalid"
        )

    def _unsealed(self, where: str) -> None:
        first, last = self._waiting[0], self._waiting[-1]
        self._findings.add(
            f"{event_range(first.seq, last.seq)} ({first.id} to {last.id}) {where} "
            "are sealed by no batch: inserted, or their batch was removed"
        )
        self._findings.extend(hash_findings(self._waiting))
        self._waiting = []

    def _head(self, number: int, line: bytes) -> None:
        try:
            head = HeadLine.model_validate_json(line).head
        except ValidationError as error:
            self._findings.add(f"the head in line {number} was altered: {_reason(error)}")
            return
        if head.line() != line:
            self._findings.add(
                f"the head in line {number} was altered or cut off: it is not in canonical form"
            )
        self.head = head

    def _check_head(self, head: Head) -> None:
        if not head.signed_by(self.key):
            self._findings.add(
                f"the head was altered or forged: its signature by key {self.key.id} is invalid"
            )
            return
        if head.header != self._header_digest:
            self._findings.add(
                "line 1 was altered: it is not the header that the head of the file signs"
            )
        if head.events != self.events:
            self._findings.add(
                f"the head signs {head.events} events, but the file holds {self.events}: "
                "removed or inserted"
            )
        if head.digest != self._newest_digest:
            last = f"the head signs batch {head.batches} as the last"
            self._findings.add(
                f"{last}, but the file ends with {self._reached()}: cut, grown or moved"
            )

    def _reached(self) -> str:
        return (
            f"batch {self._trusted.number}, event {self._trusted.last_seq}"
            if self._trusted
            else "no batch with a valid signature"
        )

    def _note_time(self, time: object) -> None:
        if isinstance(time, str):
            self.first_time = self.first_time or time[:40]
            self.last_time = time[:40]


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _canonical(value: dict[str, Any] | str) -> bytes | None:
    try:
        return canonical(value)
    except (ValueError, RecursionError):
        return None


def _traces(line: bytes) -> str:
    """Return the event that a damaged line may have been, where that is still readable."""
    trace = _TRACE.search(line)
    return f", probably event {trace[1].decode()}," if trace else ""


def _is_seq(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _printable(value: object) -> str:
    """Return a value of the file fit for a terminal: short, without control characters."""
    text = value if isinstance(value, str) else repr(value)
    return "".join(letter if letter.isprintable() else "?" for letter in text[:80])


def _reason(error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(_printable(part) for part in first['loc'])}: {_printable(first['msg'])}"
