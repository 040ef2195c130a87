"""Offline verification of an exported trail, with the public key alone.

The file is read line by line, so that memory is bounded by one batch, whatever the file holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, Literal

from pydantic import ValidationError

from orchestrator.audit.format import Head, Header, line_digest
from orchestrator.audit.keys.change import keys_around
from orchestrator.audit.restored import Restore
from orchestrator.audit.timestamp import Stamped
from orchestrator.audit.transparency.proof import ConsistencyProof, proof_findings
from orchestrator.audit.transparency.tree_head import TreeHead
from orchestrator.audit.transparency.witness import Cosignature, newest_by_key
from orchestrator.audit.verify.chain import Chain
from orchestrator.audit.verify.findings import MAX_LISTED, Findings
from orchestrator.audit.verify.kept_files import KeptHead
from orchestrator.audit.verify.remembered import Remembered
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

    `public_key`: any key that signed a part of the trail. The batches before its own are covered
    by the digest of the batch before in each, those after it by the signed changes of the key.

    Without `public_key`, the key that the file names is used, and the report notes that it is
    self-asserted: the author of the file may have made the key as well. Raise Invalid where
    something of `kept` cannot be read, or is of no trail with this key.
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
        named = [
            PublicKey.parse(key, "a public key in line 1")
            for key in (*header.earlier_keys, header.public_key)
        ]
    except (ValidationError, Invalid):
        why = "another file, a newer Tocsin, or its start was cut off"
        return _unreadable(f"line 1 is not the header of a Tocsin audit export of form 1: {why}")
    findings = Findings()
    key = public_key or named[-1]
    if key not in named:
        why = "the wrong public key, or the file was made by someone else"
        signers = ", ".join(each.id for each in named)
        findings.add(
            f"the file says that key {signers} sealed it, but the key given is {key.id}: {why}"
        )
        named = [key]
    chain = Chain(named, line_digest(first), _remembered(kept, named), findings)
    for number, line in lines:
        chain.read(number, line)
    chain.finish()
    if chain.keys.keys != named:
        signers = ", ".join(each.id for each in chain.keys.keys)
        findings.add(
            f"line 1 names other keys than those that sign the trail, which are {signers}: altered"
        )
    return _report(chain, findings, kept, key, self_asserted=public_key is None)


def verify_proof(proof: ConsistencyProof, public_key: PublicKey | None, old: TreeHead) -> Report:
    """Check that the head of a proof continues a tree head kept elsewhere. Raise Invalid.

    `public_key`: any key of the trail, as for an export; without it, the one that the proof names.
    """
    key = public_key or PublicKey.parse(proof.public_key, "the public key of the proof")
    findings = tuple(proof_findings(proof, old, key))
    notes = () if public_key else (_self_asserted(key),)
    return Report(
        status="altered" if findings else "intact",
        findings=findings,
        notes=(*_changed(keys_around(key, proof.key_changes)), *notes),
        events=proof.head.last_seq,
        batches=proof.head.batch,
        first=None,
        last=None,
        key_id=key.id,
        head=None,
    )


def _remembered(kept: Kept, keys: list[PublicKey]) -> Remembered:
    found = Remembered(keys)
    if kept.sink is not None:
        found.add_sink(kept.sink)
    if kept.anchor is not None:
        found.add_anchor(kept.anchor)
    if kept.head is not None:
        found.add_head(kept.head)
    for cosignature in kept.cosignatures:
        found.add_head(cosignature.head, f"what witness {cosignature.witness} co-signed")
    for stamp in kept.timestamps:
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


def _changed(keys: list[PublicKey]) -> list[str]:
    return [
        f"the audit key changed from {old.id} to {new.id}, as both keys signed"
        for old, new in pairwise(keys)
    ]


def _report(
    chain: Chain, findings: Findings, kept: Kept, key: PublicKey, *, self_asserted: bool
) -> Report:
    notes = [_restored(event, restore) for event, restore in chain.restores]
    notes += chain.key_changes[:MAX_LISTED]
    if not findings.any:
        notes += [_cosigned(each) for each in newest_by_key(kept.cosignatures)]
        notes += [_stamped(each) for each in kept.timestamps[-1:]]
    if self_asserted:
        notes.append(_self_asserted(key))
    status: Status = "altered" if findings.any else "restored" if chain.explained else "intact"
    return Report(
        status="intact" if status == "restored" and kept.restore_is_known else status,
        findings=(*findings.sentences, *chain.explained[:MAX_LISTED]),
        notes=tuple(notes),
        events=chain.events,
        batches=chain.batches,
        first=chain.first_time,
        last=chain.last_time,
        key_id=key.id,
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
