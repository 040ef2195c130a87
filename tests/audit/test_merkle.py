"""The Merkle tree is that of RFC 6962."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.audit.merkle import (
    GrowingTree,
    consistency_path,
    is_consistent,
    leaf_hash,
    merkle_root,
)

VECTORS = [
    leaf_hash(bytes.fromhex(leaf))
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
"""The leaves of the Certificate Transparency test vectors."""


def by_the_book(leaves: Sequence[bytes]) -> bytes:
    """Return the root by section 2.1 of RFC 6962: split at the largest power of two below n."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    return hashlib.sha256(
        b"\x01" + by_the_book(leaves[:split]) + by_the_book(leaves[split:])
    ).digest()


@pytest.mark.parametrize("count", range(1, 70))
def test_root_is_that_of_the_recursive_definition(count: int) -> None:
    leaves = [leaf_hash(str(index).encode()) for index in range(count)]
    assert merkle_root(leaves) == by_the_book(leaves)


def test_root_of_the_certificate_transparency_test_vectors() -> None:
    root = merkle_root(VECTORS)
    assert root.hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


@given(st.lists(st.sampled_from([leaf_hash(b"a"), leaf_hash(b"b")]), min_size=1, max_size=9))
def test_doubling_the_last_leaf_changes_the_root(leaves: list[bytes]) -> None:
    assert merkle_root([*leaves, leaves[-1]]) != merkle_root(leaves)


def test_a_node_does_not_pass_for_a_leaf() -> None:
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert leaf_hash(left + right) != merkle_root([left, right])


def test_no_leaves_raise() -> None:
    with pytest.raises(ValueError, match="at least one leaf"):
        merkle_root([])


@pytest.mark.parametrize(
    ("first", "second", "path"),
    [
        (1, 1, []),
        (
            1,
            8,
            [
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (
            6,
            8,
            [
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
        (
            2,
            5,
            [
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ],
        ),
    ],
)
def test_consistency_paths_of_the_certificate_transparency_test_vectors(
    first: int, second: int, path: list[str]
) -> None:
    assert [node.hex() for node in consistency_path(VECTORS[:second], first)] == path


def test_every_consistency_path_proves_its_two_roots_and_nothing_else() -> None:
    leaves = [leaf_hash(str(index).encode()) for index in range(34)]
    roots = [b"", *(merkle_root(leaves[:size]) for size in range(1, 35))]
    tree = GrowingTree()
    for second in range(1, 35):
        tree.add(leaves[second - 1])
        assert tree.root() == roots[second]
        for first in range(1, second + 1):
            path = consistency_path(leaves[:second], first)
            assert is_consistent(first, second, roots[first], roots[second], path)
            other = merkle_root([leaf_hash(b"x"), *leaves[1:first]])
            assert not is_consistent(first, second, other, roots[second], path)
            assert not is_consistent(first, second, roots[first], other, path)
            assert not is_consistent(first, second, roots[first], roots[second], [*path, other])
            assert not path or not is_consistent(
                first, second, roots[first], roots[second], path[:-1]
            )
            for index in range(len(path)):
                changed = [*path[:index], other, *path[index + 1 :]]
                assert not is_consistent(first, second, roots[first], roots[second], changed)


def test_path_from_beyond_the_end_raises() -> None:
    with pytest.raises(ValueError, match="no tree of 9 leaves"):
        consistency_path(VECTORS, 9)
