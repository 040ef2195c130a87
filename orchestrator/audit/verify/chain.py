"""How the lines of an export hang together: events under their batch, batches on each other, all under the head."""

from __future__ import annotations

import json
import re
from typing import Any, TypeGuard

from pydantic import ValidationError

from orchestrator.audit.merkle import leaf_hash
from orchestrator.audit.seal import EVENT_PREFIX, GENESIS
from orchestrator.audit.verify.compare import Found, faults, faults_unsigned, span
from orchestrator.audit.verify.lines import BatchLine, Head, HeadLine, batch_line, event_line_around
from orchestrator.audit.verify.problems import Problems
from orchestrator.crypto.signing import PublicKey
from orchestrator.domain.audit_batch import MAX_BATCH, Batch
from orchestrator.domain.digest import canonical

_HELD = 2 * MAX_BATCH
"""Events held while waiting for their batch."""

_TRACE = re.compile(rb'"seq":([0-9]{1,16}),"subject"')


class Chain:
    """Reads the lines after the header, one by one, and notes what does not fit. Nothing in a line makes it raise."""

    def __init__(
        self, key: PublicKey, header_digest: str, remembered: Head | None, problems: Problems
    ) -> None:
        self.key = key
        self.events = 0
        self.batches = 0
        self.first_time: str | None = None
        self.last_time: str | None = None
        self.head: Head | None = None
        self._header_digest = header_digest
        self._remembered = remembered
        self._problems = problems
        self._waiting: list[Found] = []
        self._trusted: Batch | None = None  # the newest batch whose signature holds
        self._doubtful = 0  # batch lines since then whose signature does not
        self._newest_digest = GENESIS  # of the last batch line, trusted or not

    def read(self, number: int, line: bytes) -> None:
        """The next line of the file."""
        if self.head is not None:
            self._problems.add(
                f"line {number} stands after the end of the trail: inserted, or the head was moved"
            )
        match _parsed(line):
            case {"event": dict() as record, "leaf": str() as leaf, **rest} if not rest:
                self._event(number, line, record, leaf)
            case {"batch": dict()}:
                self._batch(number, line)
            case {"head": dict()}:
                self._head(number, line)
            case _:
                self._problems.add(
                    f"line {number}{_traces(line)} is no line of an audit trail: inserted, damaged or cut off"
                )

    def finish(self) -> None:
        """After the last line."""
        if self._waiting:
            self._unsealed("at the end of the file")
        if self.head is None:
            self._problems.add(
                "the end of the trail is missing: the file was cut off after " + self._reached()
            )
        else:
            self._check_head(self.head)
        self._check_remembered_end()

    def _event(self, number: int, line: bytes, record: dict[str, Any], leaf: str) -> None:
        self.events += 1
        seq, event_id = record.get("seq"), record.get("id")
        content, written = _canonical(record), _canonical(leaf)
        if not (_is_seq(seq) and isinstance(event_id, str) and content and written):
            self._problems.add(
                f"line {number} was altered: event {_shown(seq)} ({_shown(event_id)}) is not of an event's form"
            )
            return
        if event_line_around(content, written) != line:
            self._problems.add(
                f"line {number}, event {seq} ({_shown(event_id)}), was altered: it is not in the form it is written in"
            )
        self._note_time(record.get("time"))
        self._waiting.append(
            Found(number, seq, _shown(event_id), leaf, leaf_hash(EVENT_PREFIX + content).hex())
        )
        if len(self._waiting) > _HELD:
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
            self._problems.add(
                f"batch {batch.number} (line {number}) was altered: its digest or its form is not as it was written"
            )
        self._trust(number, batch.model_copy(update={"digest": self._newest_digest}), waiting)

    def _trust(self, number: int, batch: Batch, waiting: list[Found]) -> None:
        self._check_remembered(batch)
        before = self._trusted.number if self._trusted else 0
        if batch.number <= before:
            self._problems.add(
                f"batch {batch.number} (line {number}) stands after batch {before}: reordered, or a copy inserted"
            )
            self._waiting = waiting  # their own batch may still come
            return
        self._problems.extend(self._gap(number, batch, batch.number - before - 1))
        self._problems.extend(faults(batch, waiting))
        self._trusted, self._doubtful = batch, 0

    def _gap(self, number: int, batch: Batch, skipped: int) -> list[str]:
        """What lies between the newest trusted batch and this one."""
        before = self._trusted
        last_number, last_seq, digest = (
            (before.number, before.last_seq, before.digest) if before else (0, 0, GENESIS)
        )
        if skipped > self._doubtful:
            first, last = last_number + 1, batch.number - 1
            which = f"batch {first} is" if first == last else f"batches {first}..{last} are"
            unvouched = span(last_seq + 1, batch.first_seq - 1)
            return [
                f"{which} missing before batch {batch.number} (line {number}): removed; {unvouched} not vouched for"
            ]
        if skipped == 0 and (batch.previous != digest or batch.first_seq != last_seq + 1):
            return [
                f"batch {batch.number} (line {number}) does not follow the batch before it: the trail was cut and grown anew there"
            ]
        return []

    def _doubt(self, problem: str, waiting: list[Found]) -> None:
        """A batch that nobody vouches for: its events can only be held against the hashes beside them."""
        self._doubtful += 1
        covered = (
            f"; it stands for {span(waiting[0].seq, waiting[-1].seq)} ({waiting[0].id} to {waiting[-1].id})"
            if waiting
            else ""
        )
        self._problems.add(problem + covered)
        self._problems.extend(faults_unsigned(waiting))

    def _forged(self, number: int, batch: Batch) -> str:
        if batch.key_id != self.key.id:
            signer = _shown(batch.key_id)
            return f"batch {batch.number} (line {number}) is signed by key {signer}, not by {self.key.id}: the wrong public key, or forged"
        return f"batch {batch.number} (line {number}) was altered or forged: its signature does not hold"

    def _unsealed(self, where: str) -> None:
        first, last = self._waiting[0], self._waiting[-1]
        self._problems.add(
            f"{span(first.seq, last.seq)} ({first.id} to {last.id}) {where} are sealed by no batch: inserted, or their batch was removed"
        )
        self._problems.extend(faults_unsigned(self._waiting))
        self._waiting = []

    def _head(self, number: int, line: bytes) -> None:
        try:
            head = HeadLine.model_validate_json(line).head
        except ValidationError as error:
            self._problems.add(f"the head in line {number} was altered: {_reason(error)}")
            return
        if head.line() != line:
            self._problems.add(
                f"the head in line {number} was altered or cut off: it is not in the form it is written in"
            )
        self.head = head

    def _check_head(self, head: Head) -> None:
        if not head.signed_by(self.key):
            self._problems.add(
                f"the head was altered or forged: its signature by key {self.key.id} does not hold"
            )
            return
        if head.header != self._header_digest:
            self._problems.add(
                "line 1 was altered: it is not the header that the head of the file vouches for"
            )
        if head.events != self.events:
            self._problems.add(
                f"the head vouches for {head.events} events, but {self.events} are there: removed or inserted"
            )
        if head.digest != self._newest_digest:
            last = f"the head vouches for batch {head.batches} as the last"
            self._problems.add(
                f"{last}, but the file ends with {self._reached()}: cut, grown or moved"
            )

    def _check_remembered(self, batch: Batch) -> None:
        kept = self._remembered
        if kept is not None and batch.number == kept.batches and batch.digest != kept.digest:
            self._problems.add(
                f"batch {batch.number} is not the one that the head kept elsewhere remembers: the trail was rewritten since"
            )

    def _check_remembered_end(self) -> None:
        reached = self._trusted.number if self._trusted else 0
        if self._remembered is not None and reached < self._remembered.batches:
            self._problems.add(
                f"the head kept elsewhere remembers batch {self._remembered.batches} and {self._remembered.events} events, "
                f"but the file ends with {self._reached()}: its end was cut off"
            )

    def _reached(self) -> str:
        return (
            f"batch {self._trusted.number}, event {self._trusted.last_seq}"
            if self._trusted
            else "no batch that is vouched for"
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
    """Which event a damaged line may have been, where that can still be read."""
    trace = _TRACE.search(line)
    return f", once event {trace[1].decode()} by its looks," if trace else ""


def _is_seq(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _shown(value: object) -> str:
    """What a file says, fit to print: short, and no control characters for a terminal."""
    text = value if isinstance(value, str) else repr(value)
    return "".join(each if each.isprintable() else "?" for each in text[:80])


def _reason(error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(_shown(part) for part in first['loc'])}: {_shown(first['msg'])}"
