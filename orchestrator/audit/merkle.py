"""The Merkle tree of RFC 6962.

Leaves and nodes are hashed with different prefixes, so that no node passes for a leaf. An odd leaf
moves up unpaired, so that no two lists of leaves share a root: doubling the last one would let
`[a, b, b]` pass for `[a, b]`. A consistency proof shows that a tree is the beginning of another.
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
        paired = [_node(left, right) for left, right in zip(level[::2], level[1::2], strict=False)]
        level = paired + level[len(paired) * 2 :]
    return level[0]


def consistency_path(leaves: Sequence[bytes], first: int) -> list[bytes]:
    """Return the nodes that prove that the first leaves are the beginning of all leaves.

    Raise ValueError as `consistency_ranges`.
    """
    return [merkle_root(leaves[start:end]) for start, end in consistency_ranges(first, len(leaves))]


def consistency_ranges(first: int, size: int) -> list[tuple[int, int]]:
    """Return the leaves under each node of the proof, as start and end; no two of them overlap.

    RFC 6962, section 2.1.2. Raise ValueError unless 1 <= first <= size.
    """
    if not 1 <= first <= size:
        raise ValueError(f"no tree of {first} leaves is the beginning of one of {size}")
    found: list[tuple[int, int]] = []
    start, end, whole = 0, size, True
    while first != end - start:
        split = 1 << ((end - start - 1).bit_length() - 1)
        if first <= split:
            found.append((start + split, end))
            end = start + split
        else:
            found.append((start, start + split))
            start, first, whole = start + split, first - split, False
    return found[::-1] if whole else [(start, end), *found[::-1]]


def is_consistent(
    first: int, second: int, first_root: bytes, second_root: bytes, path: Sequence[bytes]
) -> bool:
    """Return whether the path proves that one tree is the beginning of another.

    RFC 9162, section 2.1.4.2.
    """
    if not 1 <= first <= second:
        return False
    if first == second:
        return not path and first_root == second_root
    nodes = [first_root, *path] if first & (first - 1) == 0 else list(path)
    if not nodes:
        return False
    place, last = first - 1, second - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old = new = nodes[0]
    for node in nodes[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            old, new = _node(node, old), _node(node, new)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            new = _node(new, node)
        place, last = place >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root


class GrowingTree:
    """The root over leaves that are added one by one, in memory for a node per level."""

    def __init__(self) -> None:
        self._complete: list[tuple[int, bytes]] = []  # sizes and roots of complete subtrees

    def add(self, leaf: bytes) -> None:
        """Add the next leaf hash."""
        size, root = 1, leaf
        while self._complete and self._complete[-1][0] == size:
            _, left = self._complete.pop()
            size, root = size * 2, _node(left, root)
        self._complete.append((size, root))

    def root(self) -> bytes:
        """Return the root. Raise ValueError for no leaves."""
        if not self._complete:
            raise ValueError("a Merkle root needs at least one leaf")
        *rest, (_, root) = self._complete
        for _, left in reversed(rest):
            root = _node(left, root)
        return root


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(NODE + left + right).digest()
