"""Whether an exported trail is what was sealed, and if not, which event or batch is not.

Offline, with the public key alone, line by line: memory is bounded by one batch, whatever the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from pydantic import ValidationError

from orchestrator.audit.verify.chain import Chain
from orchestrator.audit.verify.lines import Head, Header, line_digest
from orchestrator.audit.verify.problems import Problems
from orchestrator.crypto.signing import PublicKey
from orchestrator.domain.errors import Invalid

MAX_LINE = 16 * 1024 * 1024
"""Bytes; far over the largest event or batch that is ever written."""

Status = Literal["intact", "altered", "unreadable"]


@dataclass(frozen=True, slots=True)
class Report:
    """What a verification found. `problems` are whole sentences in the order of the file; `notes` say what it rests on."""

    status: Status
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    events: int
    batches: int
    first: str | None  # time of the first and of the last event, as recorded
    last: str | None
    key_id: str | None
    head: Head | None  # what to keep elsewhere, to show later that nothing was cut since


def verify(file: Path, public_key: PublicKey | None = None, head: Head | None = None) -> Report:
    """Checks an export. Never raises for what stands in the file: what is no export at all is `unreadable`.

    Without `public_key`, the key that the file itself names is used, and the report notes that it is self-asserted: whoever
    made the file can have made the key. `head`: one kept from an earlier export; the file must contain its trail.
    """
    try:
        with file.open("rb") as source:
            return _verify(source, public_key, head)
    except OSError as error:
        return _unreadable(f"{file}: cannot be read ({error.strerror})")


def _verify(source: BinaryIO, public_key: PublicKey | None, head: Head | None) -> Report:
    lines = _lines(source)
    first = next(lines, (1, b""))[1]
    try:
        header = Header.model_validate_json(first)
        named = PublicKey.parse(header.public_key, "the public key in line 1")
    except (ValidationError, Invalid):
        what = "another file, a newer Tocsin, or its start was cut off"
        return _unreadable(f"line 1 is not the header of a Tocsin audit export of form 1: {what}")
    problems = Problems()
    key = public_key or named
    if key != named:
        why = "the wrong public key, or the file was made anew by somebody else"
        problems.add(
            f"the file says that key {named.id} sealed it, but the key given is {key.id}: {why}"
        )
    chain = Chain(key, line_digest(first), head, problems)
    for number, line in lines:
        chain.read(number, line)
    chain.finish()
    return _report(chain, problems, self_asserted=public_key is None)


def _report(chain: Chain, problems: Problems, *, self_asserted: bool) -> Report:
    note = f"self-asserted key {chain.key.id}: it stands in the file, which so far only agrees with itself; give the public key"
    return Report(
        status="altered" if problems.any else "intact",
        problems=problems.sentences,
        notes=(note,) if self_asserted else (),
        events=chain.events,
        batches=chain.batches,
        first=chain.first_time,
        last=chain.last_time,
        key_id=chain.key.id,
        head=None if problems.any else chain.head,
    )


def _unreadable(problem: str) -> Report:
    return Report(
        "unreadable",
        (problem,),
        (),
        events=0,
        batches=0,
        first=None,
        last=None,
        key_id=None,
        head=None,
    )


def _lines(source: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Numbered from 1. A longer line than any that is written comes in pieces, which fit no form."""
    number = 0
    while line := source.readline(MAX_LINE):
        number += 1
        yield number, line
