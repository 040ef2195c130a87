"""A tree head: the signed statement of how far the trail reaches, with a root over all batches.

The root is that of the Merkle tree of RFC 6962 over the digests of batches 1, 2, 3, ..., so that a
short proof shows that one head continues another, without the events.

{"tree_head": {"batch": 7, "digest": ..., "key_id": ..., "last_seq": 61, "root": ..., ...}}
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from orchestrator.audit.merkle import leaf_hash
from orchestrator.crypto.signing import PublicKey, SigningKey
from orchestrator.domain.audit_batch import EXACT, Batch, Hash
from orchestrator.domain.digest import canonical
from orchestrator.domain.model import Frozen

_TREE_HEAD = b"tocsin:audit:tree-head:1\n"
_LEAF = b"tocsin:audit:batch-leaf:1\n"


class TreeHead(Frozen):
    """How far the audit trail reaches. Every later head continues this one."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        json_schema_extra={
            "example": {
                "batch": 7,
                "last_seq": 61,
                "digest": "9f" * 32,
                "root": "3b" * 32,
                "sealed_at": "2026-01-01T12:00:02.000000Z",
                "key_id": "5f0c9e2b7d1a4c33",
                "signature": "c4" * 64,
            }
        },
    )

    batch: Annotated[int, Field(ge=1, le=EXACT, description="The number of the newest batch.")]
    last_seq: Annotated[int, Field(ge=1, le=EXACT, description="The last event of that batch.")]
    digest: Annotated[Hash, Field(description="The digest of that batch.")]
    root: Annotated[Hash, Field(description="The Merkle root over the digests of all batches.")]
    sealed_at: Annotated[str, Field(description="When that batch was sealed.")]
    key_id: Annotated[str, Field(description="The audit key that signed the head.")]
    signature: Annotated[
        str, Field(pattern=r"^[0-9a-f]{128}$", description="Ed25519 over everything above.")
    ]

    def line(self) -> bytes:
        """Return the line with its newline."""
        return canonical({"tree_head": self.model_dump()}) + b"\n"

    def signed_by(self, key: PublicKey) -> bool:
        """Return whether the key signed the head as it is."""
        return key.verifies(self.signature, _bytes(self.model_dump(exclude={"signature"})))


class TreeHeadLine(Frozen):
    """The line of a tree head."""

    tree_head: TreeHead


def batch_leaf(digest: str) -> bytes:
    """Return the leaf hash of a batch, by its digest. Raise ValueError where that is not hex."""
    return leaf_hash(_LEAF + bytes.fromhex(digest))


def sign_tree_head(key: SigningKey, newest: Batch, root: bytes) -> TreeHead:
    """Return the signed statement that the trail ends with this batch, under this root."""
    content = {
        "batch": newest.number,
        "last_seq": newest.last_seq,
        "digest": newest.header_digest(),
        "root": root.hex(),
        "sealed_at": newest.sealed_at,
        "key_id": key.id,
    }
    return TreeHead.model_validate({**content, "signature": key.sign(_bytes(content))})


def _bytes(content: dict[str, Any]) -> bytes:
    return _TREE_HEAD + canonical(content)
