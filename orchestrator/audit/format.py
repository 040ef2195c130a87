"""The format of an export file: JSON Lines, each in canonical form (RFC 8785).

{"earlier_keys": [...], "environment": ..., "exported_at": ..., "public_key": ...,
 "tocsin_audit": 1}                  (in one line)
{"event": {...}, "leaf": ...}        in order, each batch after its events
{"batch": {...}}
{"head": {...}}                      the end: the number of batches and events, signed
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError

from orchestrator.crypto.signing import PublicKey, SigningKey
from orchestrator.domain.audit_batch import EXACT, AuditEntry, Batch, Hash
from orchestrator.domain.digest import canonical
from orchestrator.domain.errors import Invalid
from orchestrator.domain.model import Frozen

_HEAD = b"tocsin:audit:head:1\n"


class Header(Frozen):
    """The first line."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    tocsin_audit: Literal[1] = 1
    environment: str
    exported_at: str
    public_key: Annotated[Hash, Field(description="The key that signs the head")]
    earlier_keys: Annotated[
        list[Hash], Field(description="The keys that signed before it, oldest first")
    ] = []

    def line(self) -> bytes:
        """Return the line with its newline."""
        return canonical(self.model_dump()) + b"\n"


class Head(Frozen):
    """The last line. Kept elsewhere, it reveals a trail that was cut or rewritten since."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    batches: Annotated[int, Field(ge=0, le=EXACT)]
    events: Annotated[int, Field(ge=0, le=EXACT)]
    digest: Annotated[
        Hash, Field(description="The newest batch's digest; GENESIS for an empty trail")
    ]
    header: Annotated[
        Hash, Field(description="SHA-256 of the file's first line, without its newline")
    ]
    signature: Annotated[
        str, Field(pattern=r"^[0-9a-f]{128}$", description="Ed25519 over everything above")
    ]

    def line(self) -> bytes:
        """Return the line with its newline."""
        return canonical({"head": self.model_dump()}) + b"\n"

    def signed_by(self, key: PublicKey) -> bool:
        """Return whether the key signed the head as it is."""
        return key.verifies(self.signature, _head_bytes(self.model_dump(exclude={"signature"})))


def sign_head(key: SigningKey, *, batches: int, events: int, digest: str, header: bytes) -> Head:
    """Return the signed head of a file whose first line is `header`."""
    content = {
        "batches": batches,
        "events": events,
        "digest": digest,
        "header": line_digest(header),
    }
    return Head.model_validate({**content, "signature": key.sign(_head_bytes(content))})


def load_head(path: Path) -> Head:
    """Return the head in the last line of a file: of an earlier export, or of its last line alone.

    Raise Invalid where that line is not a head.
    """
    try:
        lines = path.read_bytes().splitlines()
        return HeadLine.model_validate_json(lines[-1]).head
    except OSError as error:
        raise Invalid(
            f"{path}: cannot be read ({error.strerror}); "
            "name a file that holds the last line of an earlier export"
        ) from error
    except (IndexError, ValidationError) as error:
        raise Invalid(
            f"{path}: its last line is not the head of an audit export; "
            "keep the last line of each export unchanged"
        ) from error


class HeadLine(Frozen):
    """The line of a head."""

    head: Head


class BatchLine(Frozen):
    """The line of a batch."""

    batch: Batch


def event_line(entry: AuditEntry) -> bytes:
    """Return the line of an event. Raise ValueError for what RFC 8785 cannot express."""
    return event_line_around(canonical(entry.record), canonical(entry.leaf))


def event_line_around(record: bytes, leaf: bytes) -> bytes:
    """Return the line of an event, given its record and its hash in canonical form."""
    return b'{"event":' + record + b',"leaf":' + leaf + b"}\n"


def batch_line(batch: Batch) -> bytes:
    """Return the line of a batch."""
    return canonical({"batch": batch.model_dump()}) + b"\n"


def line_digest(line: bytes) -> str:
    """Return the hex SHA-256 of a line without its newline."""
    return hashlib.sha256(line.removesuffix(b"\n")).hexdigest()


def _head_bytes(content: dict[str, Any]) -> bytes:
    return _HEAD + canonical(content)
