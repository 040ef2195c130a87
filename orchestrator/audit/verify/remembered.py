"""What was kept elsewhere of the trail: heads, checkpoints, and all that a sink has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from orchestrator.audit.checkpoint import Checkpoint, CheckpointLine
from orchestrator.audit.format import BatchLine, Head, HeadLine
from orchestrator.audit.merkle import GrowingTree
from orchestrator.audit.transparency.tree_head import TreeHead, TreeHeadLine
from orchestrator.audit.verify.findings import ReadEvent, event_range
from orchestrator.crypto.signing import PublicKey
from orchestrator.domain.audit_batch import SHORT, Batch
from orchestrator.domain.errors import Invalid

KeptHead = Head | Checkpoint | TreeHead
HEAD_PLACE = "the head kept elsewhere"
_LEAF = SHORT // 2  # bytes
_UNKNOWN = bytes(_LEAF)
_BATCH = b'{"batch":'
_CHECKPOINT = b'{"checkpoint":'


class Remembered:
    """Digests of batches and leaves of events, each with the place that has it."""

    def __init__(self) -> None:
        self._digests: dict[int, dict[str, str]] = {}
        self._roots: dict[int, dict[str, str]] = {}
        self._end = (0, 0, "")
        self._leaves = bytearray()
        self._sink = ""

    def add_head(self, head: KeptHead, place: str = HEAD_PLACE) -> None:
        """Remember the head of an export, a tree head, or a checkpoint."""
        match head:
            case Head():
                self._add(head.batches, head.digest, head.events, place)
            case Checkpoint():
                self._add(head.batch, head.digest, head.last_seq, place)
            case TreeHead():
                self._add(head.batch, head.digest, head.last_seq, place)
                self._roots.setdefault(head.batch, {})[head.root] = place

    def add_anchor(self, path: Path, key: PublicKey) -> None:
        """Remember each checkpoint of an anchor. Raise Invalid where the key did not sign one."""
        for checkpoint in _checkpoints(path):
            if not checkpoint.signed_by(key):
                raise _foreign(path, f"a checkpoint of batch {checkpoint.batch}", key)
            self._add(checkpoint.batch, checkpoint.digest, checkpoint.last_seq, str(path))

    def add_sink(self, path: Path, key: PublicKey) -> None:
        """Remember each batch of a sink, and its events. Raise Invalid as `add_anchor`.

        Lines that a crash cut off are left out, as their batch was sent again.
        """
        self._sink = str(path)
        found = False
        for batch in _batches(path):
            found = True
            if not batch.signed_by(key):
                raise _foreign(path, f"batch {batch.number}", key)
            self._add(batch.number, batch.header_digest(), batch.last_seq, str(path))
            self._add_leaves(batch)
        if not found:
            raise Invalid(f"{path}: has no batch; name the file of an audit sink")

    def batch_finding(self, batch: Batch) -> str | None:
        """Return what is wrong with a batch of the file, None where every place agrees."""
        for digest, place in self._digests.get(batch.number, {}).items():
            if digest != batch.header_digest():
                return (
                    f"batch {batch.number} is not the one in {place}: the trail was rewritten since"
                )
        return None

    def tree_finding(self, number: int, tree: GrowingTree) -> str | None:
        """Return what is wrong with the tree over the batches of the file up to one."""
        for root, place in self._roots.get(number, {}).items():
            if root != tree.root().hex():
                return (
                    f"the root over the batches up to batch {number} is not that in {place}: "
                    "an earlier batch was rewritten since"
                )
        return None

    def event_finding(self, event: ReadEvent) -> str | None:
        """Return what is wrong with an event of the file, None where no sink contradicts."""
        kept = self._leaf(event.seq)
        if kept in (_UNKNOWN, bytes.fromhex(event.computed)[:_LEAF]):
            return None
        return f"{event} is not the one that {self._sink} has: altered, replaced, moved or inserted"

    def end_findings(self, batches: int, last_seq: int, reached: str) -> Iterator[str]:
        """Yield what is missing at the end of a file. `last_seq`: its last event."""
        number, events, place = self._end
        if batches < number:
            yield (
                f"{place} names batch {number} and {events} events, "
                f"but the file ends with {reached}: its end was cut off"
            )
        if last_seq < len(self._leaves) // _LEAF:
            gone = event_range(last_seq + 1, len(self._leaves) // _LEAF)
            yield f"{gone}, which {self._sink} has, are missing at the end: cut off"

    def _add(self, number: int, digest: str, events: int, place: str) -> None:
        if not number:
            return
        self._digests.setdefault(number, {})[digest] = place
        if number > self._end[0]:
            self._end = (number, events, place)

    def _add_leaves(self, batch: Batch) -> None:
        missing = batch.last_seq * _LEAF - len(self._leaves)
        if missing > 0:
            self._leaves += bytes(missing)
        start = (batch.first_seq - 1) * _LEAF
        leaves = bytes.fromhex(batch.leaves)
        self._leaves[start : start + len(leaves)] = leaves

    def _leaf(self, seq: int) -> bytes:
        return bytes(self._leaves[(seq - 1) * _LEAF : seq * _LEAF]) or _UNKNOWN


def load_kept_head(path: Path) -> KeptHead:
    """Return the head or checkpoint in the last line of a file. Raise Invalid."""
    lines = [line for line in _lines(path) if line.strip()]
    for parse in (_head, _tree_head, _checkpoint):
        if lines and (found := parse(lines[-1])) is not None:
            return found
    raise Invalid(
        f"{path}: its last line is neither a head of the audit trail nor a checkpoint; "
        "keep the file of `tocsin audit head -f`, or the last line of an export or of audit.anchor"
    )


def load_tree_head(path: Path | None) -> TreeHead:
    """Return the tree head in a file, which a proof needs. Raise Invalid."""
    found = load_kept_head(path) if path else None
    if not isinstance(found, TreeHead):
        raise Invalid(
            f"{path or '--head'}: a proof needs an earlier head of `tocsin audit head -f FILE`"
        )
    return found


def _head(line: bytes) -> Head | None:
    try:
        return HeadLine.model_validate_json(line).head
    except ValidationError:
        return None


def _tree_head(line: bytes) -> TreeHead | None:
    try:
        return TreeHeadLine.model_validate_json(line).tree_head
    except ValidationError:
        return None


def _checkpoint(line: bytes) -> Checkpoint | None:
    try:
        return CheckpointLine.model_validate_json(line).checkpoint
    except ValidationError:
        return None


def _checkpoints(path: Path) -> Iterator[Checkpoint]:
    found = [
        checkpoint
        for line in _lines(path)
        if line.startswith(_CHECKPOINT) and (checkpoint := _checkpoint(line)) is not None
    ]
    if not found:
        raise Invalid(f"{path}: has no checkpoint; name a copy of audit.anchor")
    yield from found


def _batches(path: Path) -> Iterator[Batch]:
    for line in _lines(path):
        if line.startswith(_BATCH):
            try:
                yield BatchLine.model_validate_json(line).batch
            except ValidationError:
                continue


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            yield from file
    except OSError as error:
        raise Invalid(f"{path}: cannot be read ({error.strerror})") from error


def _foreign(path: Path, what: str, key: PublicKey) -> Invalid:
    return Invalid(
        f"{path}: has {what} that key {key.id} did not sign; name the file of this trail"
    )
