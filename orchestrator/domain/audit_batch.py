"""A sealed batch of the audit trail: its entries, its signed header and its digest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from pydantic import ConfigDict, Field

from orchestrator.domain.digest import canonical
from orchestrator.domain.model import Frozen

MAX_BATCH = 4096
"""Events in one batch; bounds what a verifier keeps in memory."""
SHORT = 16
"""Hex digits of a leaf in the signed header."""
EXACT = 2**53 - 1
"""The largest integer that every JSON reader keeps."""

_BATCH = b"tocsin:audit:batch:1\n"

Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class VerifyingKey(Protocol):
    """A public key that checks signatures."""

    def verifies(self, signature: str, message: bytes) -> bool:
        """Return whether the signature (hex) is this key's over the message."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An event as it lies in the trail: its record (`seq, id, kind, time, actor, subject, data`) and its leaf hash, in hex."""

    record: dict[str, Any]
    leaf: str


class Batch(Frozen):
    """A run of events that somebody vouches for: the signed header, its digest, and the signature."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    number: Annotated[int, Field(ge=1, le=EXACT, description="1, 2, 3, ...")]
    first_seq: Annotated[int, Field(ge=1, le=EXACT)]
    last_seq: Annotated[int, Field(ge=1, le=EXACT)]
    root: Hash
    leaves: Annotated[
        str,
        Field(
            pattern=r"^([0-9a-f]{16})+$", description="The first 16 hex digits of each leaf, joined"
        ),
    ]
    previous: Annotated[
        Hash, Field(description="The digest of the batch before; GENESIS for the first")
    ]
    sealed_at: Annotated[str, Field(description="UTC, microseconds, Z")]
    key_id: str
    digest: Annotated[Hash, Field(description="SHA-256 of the header: everything above")]
    signature: Annotated[
        str, Field(pattern=r"^[0-9a-f]{128}$", description="Ed25519 over the header")
    ]

    @property
    def short_leaves(self) -> list[str]:
        """The leaves' first 16 hex digits, in order."""
        return [self.leaves[at : at + SHORT] for at in range(0, len(self.leaves), SHORT)]

    def header_bytes(self) -> bytes:
        """What is hashed and signed."""
        return header_bytes(self.model_dump(exclude={"digest", "signature"}))

    def header_digest(self) -> str:
        """The digest as computed now; equals `digest` unless the batch was altered."""
        return hashlib.sha256(self.header_bytes()).hexdigest()

    def signed_by(self, key: VerifyingKey) -> bool:
        """Whether the key vouches for the header as it stands."""
        return key.verifies(self.signature, self.header_bytes())


def header_bytes(header: dict[str, Any]) -> bytes:
    return _BATCH + canonical(header)
