"""The chain of an export: events under their batch, batches on each other, all under the head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from orchestrator.audit.format import BatchLine, Head, HeadLine, batch_line, event_line_around
from orchestrator.audit.keys.change import is_key_change, parse_key_change
from orchestrator.audit.keys.history import KeyHistory
from orchestrator.audit.merkle import GrowingTree, leaf_hash
from orchestrator.audit.restored import Restore, parse_restore
from orchestrator.audit.seal import EVENT_PREFIX, GENESIS
from orchestrator.audit.transparency.tree_head import batch_leaf
from orchestrator.audit.verify.findings import (
    Findings,
    ReadEvent,
    batch_findings,
    change_missing,
    event_range,
    forged,
    hash_findings,
    key_changed,
    printable,
)
from orchestrator.audit.verify.lines import (
    canonical_or_none,
    is_seq,
    parse_line,
    reason_of,
    traces_of,
)
from orchestrator.audit.verify.remembered import Remembered
from orchestrator.crypto.signing import PublicKey
from orchestrator.domain.audit_batch import MAX_BATCH, Batch

_MAX_WAITING = 2 * MAX_BATCH
"""Events in memory that wait for their batch."""


class Chain:
    """A reader of the lines after the header that collects findings and raises for no content."""

    def __init__(
        self,
        named: Sequence[PublicKey],
        header_digest: str,
        remembered: Remembered,
        findings: Findings,
    ) -> None:
        self.keys = KeyHistory(named[0])
        """Who signs: the first key, then those that changes in the file name."""
        self._named = named
        self.key_changes: list[str] = []
        self.events = self.batches = 0
        self.first_time: str | None = None
        self.last_time: str | None = None
        self.head: Head | None = None
        self.restores: list[tuple[str, Restore]] = []
        self.explained: list[str] = []
        self._restores_waiting: list[tuple[str, Restore]] = []
        self._changes_waiting: list[tuple[ReadEvent, dict[str, Any]]] = []
        self._header_digest = header_digest
        self._remembered = remembered
        self._findings = findings
        self._waiting: list[ReadEvent] = []
        self._trusted: Batch | None = None  # the newest batch whose signature holds
        self._doubtful = 0  # batch lines since
        self._last_seq = 0
        self._newest_digest = GENESIS  # of the last batch line, trusted or not
        self._tree = GrowingTree()  # over the batches, as long as they are trusted

    def read(self, number: int, line: bytes) -> None:
        """Read the next line of the file."""
        if self.head is not None:
            self._findings.add(
                f"line {number} follows the end of the trail: inserted, or the head was moved"
            )
        match parse_line(line):
            case {"event": dict() as record, "leaf": str() as leaf, **rest} if not rest:
                self._event(number, line, record, leaf)
            case {"batch": dict()}:
                self._batch(number, line)
            case {"head": dict()}:
                self._head(number, line)
            case _:
                self._findings.add(
                    f"line {number}{traces_of(line)} is not a line of an audit trail: "
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
        number = self._trusted.number if self._trusted else 0
        self._remembered.check_end(number, self._last_seq, self._reached())
        restores = [each for _, each in self.restores]
        open_, self.explained = self._remembered.settle(restores, self.keys)
        self._findings.extend(open_)

    def _event(self, number: int, line: bytes, record: dict[str, Any], leaf: str) -> None:
        self.events += 1
        seq, event_id = record.get("seq"), record.get("id")
        content, hashed = canonical_or_none(record), canonical_or_none(leaf)
        if not (is_seq(seq) and isinstance(event_id, str) and content and hashed):
            self._findings.add(
                f"line {number} was altered: event {printable(seq)} ({printable(event_id)}) "
                "does not have the form of an event"
            )
            return
        if event_line_around(content, hashed) != line:
            self._findings.add(
                f"line {number}, event {seq} ({printable(event_id)}), was altered: "
                "it is not in canonical form"
            )
        self._note_time(record.get("time"))
        event = ReadEvent(
            number, seq, printable(event_id), leaf, leaf_hash(EVENT_PREFIX + content).hex()
        )
        self._remembered.check_event(event)
        if restore := parse_restore(record):
            self._restores_waiting.append((str(event), restore))
        if is_key_change(record):
            self._changes_waiting.append((event, record))
        self._last_seq = max(self._last_seq, seq)
        self._waiting.append(event)
        if len(self._waiting) > _MAX_WAITING:
            self._unsealed(f"before line {number}")

    def _batch(self, number: int, line: bytes) -> None:
        self.batches += 1
        waiting, self._waiting = self._waiting, []
        changes, self._changes_waiting = self._changes_waiting, []
        others = len(waiting) - len(changes) - len(self._restores_waiting)
        try:
            batch = BatchLine.model_validate_json(line).batch
        except ValidationError as error:
            self._doubt(f"the batch in line {number} was altered: {reason_of(error)}", waiting)
            return
        self._newest_digest = batch.header_digest()
        if not self._is_signed(batch, changes, is_alone=not others):
            self._doubt(forged(number, batch, self.keys), waiting)
            return
        if batch_line(batch) != line or batch.digest != self._newest_digest:
            self._findings.add(
                f"batch {batch.number} (line {number}) was altered: "
                "its digest is wrong or it is not in canonical form"
            )
        self._trust(number, batch.model_copy(update={"digest": self._newest_digest}), waiting)

    def _is_signed(
        self, batch: Batch, events: list[tuple[ReadEvent, dict[str, Any]]], *, is_alone: bool
    ) -> bool:
        """Return whether the key in charge signed the batch, after the changes that it seals."""
        found = [parse_key_change(record) for _, record in events]
        changes = [change for change in found if change is not None]
        signers = [self.keys.current, *(change.new for change in changes)]
        signer = next((key for key in signers if batch.signed_by(key)), None)
        if signer is None:
            return self._is_after_a_gap(batch)
        if not events:
            return True
        was, problem = self.keys.current, None
        if len(changes) < len(events):
            problem = "it is not signed by the old and the new key"
        elif not is_alone:
            problem = "it is not alone in its batch"
        else:
            problem = self.keys.follow(changes, batch.number, signer)
        event = events[0][0]
        if problem:
            self._findings.add(f"{event} changes the audit key, but {problem}: forged")
        else:
            self.key_changes.append(key_changed(event, was, self.keys.current, batch))
        return signer == was or not problem

    def _is_after_a_gap(self, batch: Batch) -> bool:
        """Return whether the next key that the header names signed, and go on with it."""
        following = self._named[len(self.keys.keys) :][:1]
        if not (following and batch.signed_by(following[0])):
            return False
        self._findings.add(change_missing(following[0], batch))
        self.keys.skip_to(following[0], batch.number)
        return True

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
            self._findings.add(f"the head in line {number} was altered: {reason_of(error)}")
            return
        if head.line() != line:
            self._findings.add(
                f"the head in line {number} was altered or cut off: it is not in canonical form"
            )
        self.head = head

    def _check_head(self, head: Head) -> None:
        if not head.signed_by(self.keys.current):
            by = f"by key {self.keys.current.id}"
            self._findings.add(f"the head was altered or forged: its signature {by} is invalid")
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
            self._findings.add(
                f"the head signs batch {head.batches} as the last, but the file ends with "
                f"{self._reached()}: cut, grown or moved"
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
