"""Consistency proofs: that the trail under a head is the beginning of the trail under another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field, ValidationError

from orchestrator.audit.keys.change import KeyChange, keys_around
from orchestrator.audit.merkle import is_consistent
from orchestrator.audit.transparency.tree_head import TreeHead
from orchestrator.crypto.signing import PublicKey
from orchestrator.domain.audit_batch import EXACT, Hash
from orchestrator.domain.digest import canonical
from orchestrator.domain.errors import Invalid
from orchestrator.domain.model import Frozen

_MAX_NODES = 128
"""More than any tree of 2^53 batches needs."""


class ConsistencyProof(Frozen):
    """A proof that the first batches of the trail are those that an earlier head named."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    from_batch: Annotated[int, Field(ge=1, le=EXACT, description="The batch of the earlier head.")]
    head: Annotated[TreeHead, Field(description="The newest head.")]
    nodes: Annotated[
        list[Hash],
        Field(max_length=_MAX_NODES, description="The nodes of the proof (RFC 6962, 2.1.2)."),
    ]
    public_key: Annotated[
        Hash, Field(description="The key that signed the head, as the server says.")
    ]
    key_changes: Annotated[
        list[KeyChange], Field(description="The changes of the audit key, oldest first.")
    ] = []

    def line(self) -> bytes:
        """Return the line with its newline."""
        return canonical({"proof": self.model_dump()}) + b"\n"


class ProofLine(Frozen):
    """The line of a proof."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    proof: ConsistencyProof


def load_proof(path: Path) -> ConsistencyProof | None:
    """Return the proof in a file; None where the file holds something else.

    Raise Invalid where it cannot be read.
    """
    try:
        with path.open("rb") as file:
            line = file.readline(_MAX_LINE)
    except OSError as error:
        raise Invalid(f"{path}: cannot be read ({error.strerror})") from error
    try:
        return ProofLine.model_validate_json(line).proof
    except ValidationError:
        return None


_MAX_LINE = 64 * 1024


def proof_findings(proof: ConsistencyProof, old: TreeHead, key: PublicKey) -> list[str]:
    """Return why the proof does not show that its head continues the old one; none where it does.

    `key`: any key of the trail; the others are those that the signed changes connect with it. Raise
    Invalid where none of them signed the old head, or the proof begins with another batch.
    """
    keys = keys_around(key, proof.key_changes)
    if not any(old.signed_by(each) for each in keys):
        raise Invalid(f"the old head is not signed by key {key.id}; name that of this trail")
    head = proof.head
    if not head.signed_by(keys[-1]):
        return [f"the new head is not signed by key {keys[-1].id}: forged, or by another key"]
    if head.batch < old.batch:
        end = f"the trail ends with batch {head.batch}, and the old head names batch {old.batch}"
        return [f"{end}: its end was cut off, or an old copy was restored"]
    if proof.from_batch != old.batch:
        raise Invalid(
            f"the proof begins with batch {proof.from_batch}, and the old head is of batch "
            f"{old.batch}; ask for the proof with this head"
        )
    if (head.batch == old.batch and head.digest != old.digest) or not is_consistent(
        old.batch,
        head.batch,
        bytes.fromhex(old.root),
        bytes.fromhex(head.root),
        [bytes.fromhex(node) for node in proof.nodes],
    ):
        old_end = f"the old head of batch {old.batch}"
        return [f"batch {head.batch} does not continue {old_end}: the trail was rewritten since"]
    return []
