"""A sealed batch of the audit trail: its entries, its signed header and its digest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from pydantic import ConfigDict, Field

from orchestrator.domain.digest import canonical
from orchestrator.domain.model import Frozen

MAX_BATCH = 4096
"""The maximum number of events in one batch, which bounds the memory of a verifier."""
SHORT = 16
"""The number of hex digits of a leaf in the signed header."""
EXACT = 2**53 - 1
"""The largest integer that every JSON parser preserves."""

_BATCH = b"tocsin:audit:batch:1\n"

Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class VerifyingKey(Protocol):
    """A public key that checks signatures."""

    def verifies(self, signature: str, message: bytes) -> bool:
        """Return whether the signature (hex) is this key's over the message."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """An event at its place in the trail."""

    record: dict[str, Any]
    """`seq`, `id`, `kind`, `time`, `actor`, `subject` and `data`."""
    leaf: str
    """The leaf hash in hex."""


class Batch(Frozen):
    """A sequence of events under a signed header."""

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
        Hash, Field(description="The digest of the previous batch; GENESIS for the first")
    ]
    sealed_at: Annotated[str, Field(description="UTC, microseconds, Z")]
    key_id: str
    digest: Annotated[Hash, Field(description="SHA-256 of the header: everything above")]
    signature: Annotated[
        str, Field(pattern=r"^[0-9a-f]{128}$", description="Ed25519 over the header")
    ]

    @property
    def short_leaves(self) -> list[str]:
        """The first 16 hex digits of each leaf, in order."""
        return [self.leaves[at : at + SHORT] for at in range(0, len(self.leaves), SHORT)]

    def header_bytes(self) -> bytes:
        """Return the bytes that are hashed and signed."""
        return header_bytes(self.model_dump(exclude={"digest", "signature"}))

    def header_digest(self) -> str:
        """Return the recomputed digest, which equals `digest` unless the batch was altered."""
        return hashlib.sha256(self.header_bytes()).hexdigest()

    def signed_by(self, key: VerifyingKey) -> bool:
        """Return whether the key signed the header as it is."""
        return key.verifies(self.signature, self.header_bytes())


def header_bytes(header: dict[str, Any]) -> bytes:
    """Return the bytes of a header that are hashed and signed."""
    return _BATCH + canonical(header)
