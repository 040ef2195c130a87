"""What was kept elsewhere of the trail: heads, checkpoints, and all that a sink has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.audit.checkpoint import Checkpoint
from orchestrator.audit.format import Head
from orchestrator.audit.keys.history import KeyHistory
from orchestrator.audit.merkle import GrowingTree
from orchestrator.audit.restored import Restore
from orchestrator.audit.transparency.tree_head import TreeHead
from orchestrator.audit.verify.findings import MAX_LISTED, ReadEvent, event_range
from orchestrator.audit.verify.kept_files import (
    KeptHead,
    batches_in,
    checkpoints_in,
    keys_in,
)
from orchestrator.crypto.signing import PublicKey
from orchestrator.domain.audit_batch import EXACT, SHORT, Batch
from orchestrator.domain.errors import Invalid

HEAD_PLACE = "the head kept elsewhere"
_LEAF = SHORT // 2  # bytes
_UNKNOWN = bytes(_LEAF)


@dataclass(frozen=True, slots=True)
class Doubt:
    """A contradiction between a file and what was kept elsewhere."""

    sentence: str
    batches: tuple[int, int] | None = None
    """The first and last batch that differ, if a restore may have given them up."""
    events: tuple[int, int] | None = None
    """The first and last event that differ, likewise."""

    def is_explained(self, restores: Sequence[Restore]) -> bool:
        """Return whether one of the restores gave up all that differs."""
        return any(
            (self.batches is not None and all(map(restore.gave_up_batch, self.batches)))
            or (self.events is not None and all(map(restore.gave_up_event, self.events)))
            for restore in restores
        )


class Remembered:
    """Digests of batches and leaves of events, each with the place that has it.

    `keys`: those of the file. What a sink has may name others, which a rewritten file hides.
    """

    def __init__(self, keys: Sequence[PublicKey]) -> None:
        self._keys = list(keys)
        self._statements: list[tuple[int, PublicKey, str]] = []
        self._digests: dict[int, dict[str, str]] = {}
        self._doubts: list[Doubt] = []
        self._events_in_doubt: list[Doubt] = []
        self._roots: dict[int, dict[str, str]] = {}
        self._ends: dict[str, tuple[int, int]] = {}
        self._leaves = bytearray()
        self._sink = ""
        self._sink_batches: dict[int, str] = {}
        self._sink_forked_at = EXACT  # the first event that the sink has twice

    def add_head(self, head: KeptHead, place: str = HEAD_PLACE) -> None:
        """Remember the head of an export, a tree head, or a checkpoint."""
        number = head.batches if isinstance(head, Head) else head.batch
        signer = next((key for key in self._keys if head.signed_by(key)), None)
        if signer is not None:
            self._statements.append((number, signer, place))
        else:
            self._doubts.append(
                Doubt(
                    f"{place}, of batch {number}, is signed by no key of this trail: the trail was "
                    "rewritten under another key, or it is of another trail",
                    batches=(number, number),
                )
            )
        match head:
            case Head():
                self._add(head.batches, head.digest, head.events, place)
            case Checkpoint():
                self._add(head.batch, head.digest, head.last_seq, place)
            case TreeHead():
                self._add(head.batch, head.digest, head.last_seq, place)
                self._roots.setdefault(head.batch, {})[head.root] = place

    def add_anchor(self, path: Path) -> None:
        """Remember each checkpoint of an anchor. Raise Invalid where it cannot be read."""
        for checkpoint in checkpoints_in(path):
            self.add_head(checkpoint, str(path))

    def add_sink(self, path: Path) -> None:
        """Remember each batch of a sink, and its events.

        Lines that a crash cut off are left out, as their batch was sent again. Raise Invalid where
        it cannot be read, and for a batch of another trail.
        """
        self._sink = str(path)
        self._keys += [key for key in keys_in(path, self._keys) if key not in self._keys]
        found = False
        for batch in batches_in(path):
            found = True
            if not any(batch.signed_by(key) for key in self._keys):
                raise Invalid(
                    f"{path}: has batch {batch.number}, which no key of this trail signed; name "
                    "the file of this trail"
                )
            self._follow_fork(batch)
            self._sink_batches[batch.number] = batch.header_digest()
            self._add(batch.number, batch.header_digest(), batch.last_seq, str(path))
            self._add_leaves(batch)
        if not found:
            raise Invalid(f"{path}: has no batch; name the file of an audit sink")

    def check_batch(self, batch: Batch, tree: GrowingTree) -> None:
        """Compare a batch of the file, and the tree over the batches up to it."""
        number = batch.number
        for digest, place in self._digests.get(number, {}).items():
            if digest != batch.header_digest():
                self._doubts.append(
                    Doubt(
                        f"batch {number} is not the one in {place}: the trail was rewritten since",
                        batches=(number, number),
                    )
                )
        for root, place in self._roots.get(number, {}).items():
            if root != tree.root().hex():
                self._doubts.append(
                    Doubt(
                        f"the root over the batches up to batch {number} is not that in {place}: "
                        "an earlier batch was rewritten since",
                        batches=(number, number),
                    )
                )

    def check_event(self, event: ReadEvent) -> None:
        """Compare an event of the file with what the sink has."""
        kept = self._leaf(event.seq)
        if kept in (_UNKNOWN, bytes.fromhex(event.computed)[:_LEAF]):
            return
        sentence = (
            f"{event} is not the one that {self._sink} has: altered, replaced, moved or inserted"
        )
        # A restore explains what the sink has of the earlier trail, and nothing after it.
        doubt = Doubt(sentence, events=self._given_up(event.seq, event.seq))
        if len(self._events_in_doubt) < MAX_LISTED:
            self._events_in_doubt.append(doubt)
        else:
            last = self._events_in_doubt[-1]
            self._events_in_doubt[-1] = Doubt(
                "further events are not those that the sink has", events=_around(last, doubt)
            )

    def check_end(self, batches: int, last_seq: int, reached: str) -> None:
        """Compare the end of a file. `last_seq`: its last event."""
        number, events, place = max(
            ((*end, place) for place, end in self._ends.items()), default=(0, 0, "")
        )
        if batches < number:
            self._doubts.append(
                Doubt(
                    f"{place} names batch {number} and {events} events, "
                    f"but the file ends with {reached}: its end was cut off",
                    batches=(number, number),
                )
            )
        if last_seq < len(self._leaves) // _LEAF:
            end = len(self._leaves) // _LEAF
            gone = event_range(last_seq + 1, end)
            self._doubts.append(
                Doubt(
                    f"{gone}, which {self._sink} has, are missing at the end: cut off",
                    events=self._given_up(last_seq + 1, end),
                )
            )

    def settle(self, restores: Sequence[Restore], keys: KeyHistory) -> tuple[list[str], list[str]]:
        """Return what nothing explains, and what a restore explains, as sentences."""
        open_, explained = [], []
        for number, key, place in self._statements:
            last = keys.last_batch_of(key)
            if last is not None and last < number:
                self._doubts.append(
                    Doubt(
                        f"{place} names batch {number} and is signed by key {key.id}, which was "
                        f"retired after batch {last}: forged with the retired key",
                        batches=(number, number),
                    )
                )
        for each in (*self._doubts, *self._events_in_doubt):
            if each.is_explained(restores):
                explained.append(f"given up by a restore: {each.sentence}")
            else:
                open_.append(each.sentence)
        return open_, explained

    def _add(self, number: int, digest: str, events: int, place: str) -> None:
        if not number:
            return
        self._digests.setdefault(number, {})[digest] = place
        if number > self._ends.get(place, (0, 0))[0]:
            self._ends[place] = (number, events)

    def _follow_fork(self, batch: Batch) -> None:
        """Note where the sink has a batch twice, as after a restore; the later one counts."""
        known = self._sink_batches.get(batch.number)
        if known in (None, batch.header_digest()):
            return
        last = max(self._sink_batches)
        self._doubts.append(
            Doubt(
                f"{self._sink} has batches {batch.number}..{last} twice: the trail was cut and "
                "written again",
                batches=(batch.number, last),
            )
        )
        for number in range(batch.number, last + 1):
            digest = self._sink_batches.pop(number, "")
            self._digests.get(number, {}).pop(digest, None)
        self._ends.pop(self._sink, None)
        self._sink_forked_at = min(self._sink_forked_at, batch.first_seq)
        del self._leaves[(batch.first_seq - 1) * _LEAF :]

    def _add_leaves(self, batch: Batch) -> None:
        missing = batch.last_seq * _LEAF - len(self._leaves)
        if missing > 0:
            self._leaves += bytes(missing)
        start = (batch.first_seq - 1) * _LEAF
        leaves = bytes.fromhex(batch.leaves)
        self._leaves[start : start + len(leaves)] = leaves

    def _given_up(self, first: int, last: int) -> tuple[int, int] | None:
        """Return events of the earlier trail, None where the sink has later ones in their place."""
        return (first, last) if last < self._sink_forked_at else None

    def _leaf(self, seq: int) -> bytes:
        return bytes(self._leaves[(seq - 1) * _LEAF : seq * _LEAF]) or _UNKNOWN


def _around(one: Doubt, two: Doubt) -> tuple[int, int] | None:
    """Return the range of the events of both, None where a restore cannot explain one of them."""
    if one.events is None or two.events is None:
        return None
    return min(one.events[0], two.events[0]), max(one.events[1], two.events[1])
