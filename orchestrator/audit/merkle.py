"""The Merkle tree of RFC 6962.

Leaves and nodes are hashed with different prefixes, so that no node passes for a leaf. An odd leaf
moves up unpaired, so that no two lists of leaves share a root: doubling the last one would let
`[a, b, b]` pass for `[a, b]`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

LEAF = b"\x00"
NODE = b"\x01"


def leaf_hash(content: bytes) -> bytes:
    """Return the SHA-256 of a leaf."""
    return hashlib.sha256(LEAF + content).digest()


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """Return the root over leaf hashes, at least one. Raise ValueError for none."""
    if not leaves:
        raise ValueError("a Merkle root needs at least one leaf")
    level = list(leaves)
    while len(level) > 1:
        # Pairing from the left gives RFC 6962's split at the largest power of two.
        paired = [
            hashlib.sha256(NODE + left + right).digest()
            for left, right in zip(level[::2], level[1::2], strict=False)
        ]
        level = paired + level[len(paired) * 2 :]
    return level[0]
