"""Offline verification of an exported trail, with the public key alone.

The file is read line by line, so that memory is bounded by one batch, whatever the file holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from pydantic import ValidationError

from orchestrator.audit.format import Head, Header, line_digest
from orchestrator.audit.restored import Restore
from orchestrator.audit.timestamp import Stamped
from orchestrator.audit.transparency.proof import ConsistencyProof, proof_findings
from orchestrator.audit.transparency.tree_head import TreeHead
from orchestrator.audit.transparency.witness import Cosignature, newest_by_key
from orchestrator.audit.verify.chain import Chain
from orchestrator.audit.verify.findings import MAX_LISTED, Findings
from orchestrator.audit.verify.remembered import KeptHead, Remembered
from orchestrator.crypto.signing import PublicKey
from orchestrator.domain.errors import Invalid

MAX_LINE = 16 * 1024 * 1024
"""The maximum length in bytes, far over that of any line that is written."""

Status = Literal["intact", "restored", "altered", "unreadable"]


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a verification."""

    status: Status
    """`restored`: intact, and a restore gave up a part of what was kept elsewhere."""
    findings: tuple[str, ...]
    """Sentences in the order of the file."""
    notes: tuple[str, ...]
    """Sentences that say what the result relies on."""
    events: int
    batches: int
    first: str | None
    """The time of the first event, as recorded."""
    last: str | None
    """The time of the last event, as recorded."""
    key_id: str | None
    head: Head | None
    """What to keep elsewhere, to prove later that nothing was cut since."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What was kept elsewhere, which the trail of an export must contain."""

    head: KeptHead | None = None
    """A tree head, the head of an earlier export, or a checkpoint."""
    anchor: Path | None = None
    """A copy of `audit.anchor`."""
    sink: Path | None = None
    """The file of a sink, with batches and events."""
    cosignatures: tuple[Cosignature, ...] = ()
    """What witnesses co-signed, with keys that the caller trusts."""
    timestamps: tuple[Stamped, ...] = ()
    """Time stamps by authorities that the caller trusts."""
    restore_is_known: bool = False
    """Whether the caller knows of the restores in the trail."""


def verify(file: Path, public_key: PublicKey | None = None, kept: Kept = Kept()) -> Report:
    """Check an export. Never raise for its content: a file that is no export is `unreadable`.

    Without `public_key`, the key that the file names is used, and the report notes that it is
    self-asserted: the author of the file may have made the key as well. Raise Invalid where
    something of `kept` cannot be read, or another key signed it.
    """
    try:
        with file.open("rb") as source:
            return _verify(source, public_key, kept)
    except OSError as error:
        return _unreadable(f"{file}: cannot be read ({error.strerror})")


def _verify(source: BinaryIO, public_key: PublicKey | None, kept: Kept) -> Report:
    lines = _lines(source)
    first = next(lines, (1, b""))[1]
    try:
        header = Header.model_validate_json(first)
        named = PublicKey.parse(header.public_key, "the public key in line 1")
    except (ValidationError, Invalid):
        why = "another file, a newer Tocsin, or its start was cut off"
        return _unreadable(f"line 1 is not the header of a Tocsin audit export of form 1: {why}")
    findings = Findings()
    key = public_key or named
    if key != named:
        why = "the wrong public key, or the file was made by someone else"
        findings.add(
            f"the file says that key {named.id} sealed it, but the key given is {key.id}: {why}"
        )
    chain = Chain(key, line_digest(first), _remembered(kept, key), findings)
    for number, line in lines:
        chain.read(number, line)
    chain.finish()
    return _report(chain, findings, kept, self_asserted=public_key is None)


def verify_proof(proof: ConsistencyProof, public_key: PublicKey | None, old: TreeHead) -> Report:
    """Check that the head of a proof continues a tree head kept elsewhere. Raise Invalid.

    Without `public_key`, the key that the proof names is used, as for an export.
    """
    key = public_key or PublicKey.parse(proof.public_key, "the public key of the proof")
    findings = tuple(proof_findings(proof, old, key))
    return Report(
        status="altered" if findings else "intact",
        findings=findings,
        notes=() if public_key else (_self_asserted(key),),
        events=proof.head.last_seq,
        batches=proof.head.batch,
        first=None,
        last=None,
        key_id=key.id,
        head=None,
    )


def _remembered(kept: Kept, key: PublicKey) -> Remembered:
    found = Remembered()
    if kept.head is not None:
        if not kept.head.signed_by(key):
            raise Invalid(
                f"the head kept elsewhere is not signed by key {key.id}; name that of this trail"
            )
        found.add_head(kept.head)
    if kept.anchor is not None:
        found.add_anchor(kept.anchor, key)
    if kept.sink is not None:
        found.add_sink(kept.sink, key)
    for cosignature in kept.cosignatures:
        if not cosignature.head.signed_by(key):
            raise Invalid(
                f"the head that witness {cosignature.witness} co-signed is not signed by key "
                f"{key.id}; name the co-signatures of this trail"
            )
        found.add_head(cosignature.head, f"what witness {cosignature.witness} co-signed")
    for stamp in kept.timestamps:
        if not stamp.checkpoint.signed_by(key):
            raise Invalid(
                f"the checkpoint that was stamped at {stamp.at:%Y-%m-%dT%H:%M:%SZ} is not signed "
                f"by key {key.id}; name the time stamps of this trail"
            )
        found.add_head(stamp.checkpoint, f"the time stamp of {stamp.at:%Y-%m-%dT%H:%M:%SZ}")
    return found


def _self_asserted(key: PublicKey) -> str:
    return (
        f"self-asserted key {key.id}: it is part of the file, which so far only agrees with "
        "itself; pass the public key"
    )


def _cosigned(each: Cosignature) -> str:
    return (
        f"witness {each.witness} (key {each.key_id}) co-signed batch {each.head.batch} and its "
        f"{each.head.last_seq} events at {each.cosigned_at}"
    )


def _report(chain: Chain, findings: Findings, kept: Kept, *, self_asserted: bool) -> Report:
    notes = [_restored(event, restore) for event, restore in chain.restores]
    if not findings.any:
        notes += [_cosigned(each) for each in newest_by_key(kept.cosignatures)]
        notes += [_stamped(each) for each in kept.timestamps[-1:]]
    if self_asserted:
        notes.append(_self_asserted(chain.key))
    status: Status = "altered" if findings.any else "restored" if chain.explained else "intact"
    return Report(
        status="intact" if status == "restored" and kept.restore_is_known else status,
        findings=(*findings.sentences, *chain.explained[:MAX_LISTED]),
        notes=tuple(notes),
        events=chain.events,
        batches=chain.batches,
        first=chain.first_time,
        last=chain.last_time,
        key_id=chain.key.id,
        head=None if findings.any else chain.head,
    )


def _stamped(each: Stamped) -> str:
    number, events = each.checkpoint.batch, each.checkpoint.last_seq
    return (
        f"batch {number} and its {events} events existed at {each.at:%Y-%m-%dT%H:%M:%SZ}, "
        "according to a time-stamping authority"
    )


def _restored(event: str, restore: Restore) -> str:
    lost = (
        f"which went on to event {restore.from_seq} (batch {restore.from_batch})"
        if restore.from_seq
        else "whose further length is not known"
    )
    return (
        f"{event} is a restore from the backup of {restore.backup}: the trail goes on after event "
        f"{restore.to_seq} (batch {restore.to_batch}), and the earlier one, {lost}, was given up "
        "there; if no one of you restored, the trail was rolled back"
    )


def _unreadable(finding: str) -> Report:
    return Report(
        "unreadable",
        (finding,),
        (),
        events=0,
        batches=0,
        first=None,
        last=None,
        key_id=None,
        head=None,
    )


def _lines(source: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield lines with their numbers from 1, one that is too long in invalid pieces."""
    number = 0
    while line := source.readline(MAX_LINE):
        number += 1
        yield number, line
