"""The newest tree head of the store, and the proof that it continues an earlier one."""

from __future__ import annotations

import asyncio

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit.continuity import check_end
from orchestrator.audit.keys.load import load_keys
from orchestrator.audit.merkle import consistency_path, merkle_root
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
    async with rt.store.read() as session:
        head, _ = await _head(rt, session)
    return head


async def prove(rt: Runtime, from_batch: int) -> ConsistencyProof:
    """Return the proof that the newest head continues a batch. Raise as `load_head`.

    Where the trail ends before that batch, the proof is without nodes: its head shows the cut.
    """
    async with rt.store.read() as session:
        head, leaves = await _head(rt, session)
        keys = await load_keys(rt, session)
    if head is None:
        raise Conflict(_EMPTY)
    nodes: list[bytes] = []
    if from_batch <= head.batch:
        nodes = await asyncio.to_thread(consistency_path, leaves, from_batch)
    return ConsistencyProof(
        from_batch=from_batch,
        head=head,
        nodes=[node.hex() for node in nodes],
        public_key=keys.signer.public.hex,
        key_changes=list(keys.changes),
    )


async def _head(rt: Runtime, session: AsyncSession) -> tuple[TreeHead | None, list[bytes]]:
    newest = await check_end(rt, session)
    if newest is None:
        return None, []
    digests = await audit.batch_digests(session, newest.number)
    try:
        leaves = [batch_leaf(digest) for digest in digests]
    except ValueError as error:
        raise Conflict(
            "the digest of a batch of the audit trail cannot be read: it was altered in the store"
        ) from error
    root = await asyncio.to_thread(merkle_root, leaves)
    keys = await load_keys(rt, session)
    return sign_tree_head(keys.signer, newest, root), leaves


_EMPTY = "the audit trail has no sealed batch yet; try again in a second"
