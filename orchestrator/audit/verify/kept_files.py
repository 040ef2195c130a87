"""Files that were kept elsewhere: heads, copies of the anchor, and what a sink has."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from orchestrator.audit.checkpoint import Checkpoint, CheckpointLine
from orchestrator.audit.format import BatchLine, Head, HeadLine
from orchestrator.audit.keys.change import keys_around, parse_key_change
from orchestrator.audit.transparency.tree_head import TreeHead, TreeHeadLine
from orchestrator.crypto.signing import PublicKey
from orchestrator.domain.audit_batch import Batch
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Invalid

KeptHead = Head | Checkpoint | TreeHead
_BATCH = b'{"batch":'
_CHECKPOINT = b'{"checkpoint":'
_KEY_CHANGE = f'"kind":"{EventKind.AUDIT_KEY_CHANGED}"'.encode()


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


def checkpoints_in(path: Path) -> Iterator[Checkpoint]:
    """Yield the checkpoints in a copy of the anchor. Raise Invalid for none."""
    found = [
        checkpoint
        for line in _lines(path)
        if line.startswith(_CHECKPOINT) and (checkpoint := _checkpoint(line)) is not None
    ]
    if not found:
        raise Invalid(f"{path}: has no checkpoint; name a copy of audit.anchor")
    yield from found


def batches_in(path: Path) -> Iterator[Batch]:
    """Yield the batches in the file of a sink, without lines that were cut off."""
    for line in _lines(path):
        if line.startswith(_BATCH):
            try:
                yield BatchLine.model_validate_json(line).batch
            except ValidationError:
                continue


def keys_in(path: Path, known: Sequence[PublicKey]) -> list[PublicKey]:
    """Return the keys that the changes in a sink connect with known ones."""
    changes = []
    for line in _lines(path):
        if _KEY_CHANGE in line:
            with suppress(ValueError, AttributeError):
                changes.append(parse_key_change(json.loads(line)["event"]))
    signed = [change for change in changes if change is not None]
    return [key for each in known for key in keys_around(each, signed)]


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            yield from file
    except OSError as error:
        raise Invalid(f"{path}: cannot be read ({error.strerror})") from error
