"""The form of an export file: JSON Lines, each in RFC 8785 form, so that every byte counts.

{"environment": ..., "exported_at": ..., "public_key": ..., "tocsin_audit": 1}
{"event": {...}, "leaf": ...}        in order, each batch after its events
{"batch": {...}}
{"head": {...}}                      the end: how much there is, signed
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError

from orchestrator.crypto.signing import PublicKey, SigningKey
from orchestrator.domain.audit_batch import EXACT, Batch, Entry, Hash
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
    public_key: Hash

    def line(self) -> bytes:
        """As written, newline included."""
        return canonical(self.model_dump()) + b"\n"


class Head(Frozen):
    """The last line: how far the trail had come. Kept elsewhere, it shows a trail that was cut or rewritten since."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    batches: Annotated[int, Field(ge=0, le=EXACT)]
    events: Annotated[int, Field(ge=0, le=EXACT)]
    digest: Annotated[
        Hash, Field(description="The newest batch's digest; GENESIS where there is none")
    ]
    header: Annotated[
        Hash, Field(description="SHA-256 of the file's first line, without its newline")
    ]
    signature: Annotated[
        str, Field(pattern=r"^[0-9a-f]{128}$", description="Ed25519 over everything above")
    ]

    def line(self) -> bytes:
        """As written, newline included."""
        return canonical({"head": self.model_dump()}) + b"\n"

    def signed_by(self, key: PublicKey) -> bool:
        """Whether the key vouches for the head as it stands."""
        return key.verifies(self.signature, _head_bytes(self.model_dump(exclude={"signature"})))


def sign_head(key: SigningKey, *, batches: int, events: int, digest: str, header: bytes) -> Head:
    """The head of a file whose first line is `header`."""
    content = {
        "batches": batches,
        "events": events,
        "digest": digest,
        "header": line_digest(header),
    }
    return Head.model_validate({**content, "signature": key.sign(_head_bytes(content))})


def load_head(path: Path) -> Head:
    """A head kept elsewhere: the last line of an earlier export, in a file of its own, or that export itself. Raises Invalid."""
    try:
        lines = path.read_bytes().splitlines()
        return HeadLine.model_validate_json(lines[-1]).head
    except OSError as error:
        raise Invalid(
            f"{path}: cannot be read ({error.strerror}); give the last line of an earlier export, in a file"
        ) from error
    except (IndexError, ValidationError) as error:
        raise Invalid(
            f"{path}: its last line is not the head of an audit export; keep the last line of each export as it is"
        ) from error


class HeadLine(Frozen):
    """How a head stands in the file."""

    head: Head


class BatchLine(Frozen):
    """How a batch stands in the file."""

    batch: Batch


def event_line(entry: Entry) -> bytes:
    """An event as written. Raises ValueError for what RFC 8785 cannot write."""
    return event_line_around(canonical(entry.record), canonical(entry.leaf))


def event_line_around(record: bytes, leaf: bytes) -> bytes:
    """The same, for a record and a hash in their canonical form already."""
    return b'{"event":' + record + b',"leaf":' + leaf + b"}\n"


def batch_line(batch: Batch) -> bytes:
    """A batch as written."""
    return canonical({"batch": batch.model_dump()}) + b"\n"


def line_digest(line: bytes) -> str:
    """Hex SHA-256 of a line, without its newline."""
    return hashlib.sha256(line.removesuffix(b"\n")).hexdigest()


def _head_bytes(content: dict[str, Any]) -> bytes:
    return _HEAD + canonical(content)
