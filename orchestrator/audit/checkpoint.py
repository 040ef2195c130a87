"""A checkpoint: the signed statement that the trail ends with a batch, kept outside the store.

{"checkpoint": {"batch": 7, "digest": ..., "key_id": ..., "last_seq": 61, "sealed_at": ..., ...}}
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from orchestrator.crypto.signing import PublicKey, SigningKey
from orchestrator.domain.audit_batch import EXACT, Batch, Hash
from orchestrator.domain.digest import canonical
from orchestrator.domain.model import Frozen

_CHECKPOINT = b"tocsin:audit:checkpoint:1\n"


class Checkpoint(Frozen):
    """The end of the trail at one moment. Every later trail contains this batch."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    batch: Annotated[int, Field(ge=1, le=EXACT, description="The number of the newest batch")]
    last_seq: Annotated[int, Field(ge=1, le=EXACT, description="Its last event")]
    digest: Annotated[Hash, Field(description="Its digest")]
    sealed_at: str
    key_id: str
    signature: Annotated[
        str, Field(pattern=r"^[0-9a-f]{128}$", description="Ed25519 over everything above")
    ]

    def line(self) -> bytes:
        """Return the line with its newline."""
        return canonical({"checkpoint": self.model_dump()}) + b"\n"

    def signed_by(self, key: PublicKey) -> bool:
        """Return whether the key signed the checkpoint as it is."""
        return key.verifies(self.signature, checkpoint_bytes(self))


class CheckpointLine(Frozen):
    """The line of a checkpoint."""

    checkpoint: Checkpoint


def sign_checkpoint(key: SigningKey, batch: Batch) -> Checkpoint:
    """Return the signed statement that the trail ends with this batch."""
    content = {
        "batch": batch.number,
        "last_seq": batch.last_seq,
        "digest": batch.header_digest(),
        "sealed_at": batch.sealed_at,
        "key_id": key.id,
    }
    return Checkpoint.model_validate({**content, "signature": key.sign(_bytes(content))})


def checkpoint_bytes(checkpoint: Checkpoint) -> bytes:
    """Return what a signature of the checkpoint covers."""
    return _bytes(checkpoint.model_dump(exclude={"signature"}))


def _bytes(content: dict[str, Any]) -> bytes:
    return _CHECKPOINT + canonical(content)
