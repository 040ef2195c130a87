"""The newest tree head of the store, and the proof that it continues an earlier one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit.continuity import check_end
from orchestrator.audit.keys.load import load_keys
from orchestrator.audit.merkle import GrowingTree, consistency_ranges
from orchestrator.audit.transparency.proof import ConsistencyProof
from orchestrator.audit.transparency.tree_head import TreeHead, batch_leaf, sign_tree_head
from orchestrator.domain.errors import Conflict
from orchestrator.runtime import Runtime
from orchestrator.store.queries import audit


async def load_head(rt: Runtime) -> TreeHead:
    """Return the signed head of the newest batch.

    Raise BrokenTrail where the store does not continue what this machine remembers, and Conflict
    where nothing is sealed yet.
    """
    head = await find_head(rt)
    if head is None:
        raise Conflict(_EMPTY)
    return head


async def find_head(rt: Runtime) -> TreeHead | None:
    """Return the signed head as `load_head`, None where nothing is sealed yet."""
    async with rt.store.snapshot() as session:
        newest = await check_end(rt, session)
        if newest is None:
            return None
        [root] = await _roots(session, newest.number, [(0, newest.number)])
        keys = await load_keys(rt, session)
    return sign_tree_head(keys.signer, newest, root)


async def prove(rt: Runtime, from_batch: int) -> ConsistencyProof:
    """Return the proof that the newest head continues a batch. Raise as `load_head`.

    Where the trail ends before that batch, the proof is without nodes: its head shows the cut.
    """
    async with rt.store.snapshot() as session:
        newest = await check_end(rt, session)
        if newest is None:
            raise Conflict(_EMPTY)
        size = newest.number
        ranges = consistency_ranges(from_batch, size) if from_batch <= size else []
        root, *nodes = await _roots(session, size, [(0, size), *ranges])
        keys = await load_keys(rt, session)
    return ConsistencyProof(
        from_batch=from_batch,
        head=sign_tree_head(keys.signer, newest, root),
        nodes=[node.hex() for node in nodes],
        public_key=keys.signer.public.hex,
        key_changes=list(keys.changes),
    )


async def _roots(
    session: AsyncSession, size: int, ranges: Sequence[tuple[int, int]]
) -> list[bytes]:
    """Return the root over each range of batches, in one pass and in little memory."""
    trees = [GrowingTree() for _ in ranges]
    start = 0
    async for digests in audit.batch_digests(session, size):
        try:
            await asyncio.to_thread(_grow, trees, ranges, start, digests)
        except ValueError as error:
            raise Conflict(
                "the digest of a batch of the audit trail cannot be read: it was altered in the "
                "store"
            ) from error
        start += len(digests)
    return [tree.root() for tree in trees]


def _grow(
    trees: Sequence[GrowingTree],
    ranges: Sequence[tuple[int, int]],
    start: int,
    digests: Sequence[str],
) -> None:
    leaves = [batch_leaf(digest) for digest in digests]
    for tree, (first, end) in zip(trees, ranges, strict=True):
        for leaf in leaves[max(0, first - start) : max(0, end - start)]:
            tree.add(leaf)


_EMPTY = "the audit trail has no sealed batch yet; try again in a second"
