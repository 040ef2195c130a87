"""The Merkle tree is that of RFC 6962."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.audit.merkle import leaf_hash, merkle_root


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
    leaves = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ]
    root = merkle_root([leaf_hash(bytes.fromhex(leaf)) for leaf in leaves])
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
