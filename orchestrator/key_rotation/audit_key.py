"""Rotation of the key that signs the audit trail, inside one chain, while the stack runs.

1. A new key is written next to the old one; every process can sign with it.
2. The old key seals the change, which names the new key and carries a signature by both. From
   then on, every process signs with the new key.
3. The new key moves into the place of the old one, which is overwritten and removed.

Each step looks at what is there, so that a rotation that was cut off goes on when it is repeated.
The old key is destroyed only after the change is sealed and `audit.anchor` remembers it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.audit.keys.change import save_key_changes
from orchestrator.audit.keys.load import load_keys
from orchestrator.audit.rekey.seal_change import advance_anchor, seal_key_change
from orchestrator.audit.sealer import seal_pending
from orchestrator.domain.errors import Conflict
from orchestrator.key_rotation.ring_file import locked
from orchestrator.key_rotation.step import RotationStep
from orchestrator.runtime import Runtime


@dataclass(frozen=True, slots=True)
class AuditRotation:
    """What a rotation did."""

    key: str
    """The id of the new key."""
    public_key: str
    """The new public key in hex."""
    batch: int | None
    """The batch with the change, the last that the old key signed; None for an earlier one."""


async def rotate_audit_key(
    rt: Runtime, step: RotationStep, report: Callable[[str], None], *, actor: str
) -> AuditRotation:
    """Rotate the audit key, or go on where a rotation was cut off.

    Raise BrokenTrail where the trail is not what was sealed, Conflict for a step before its time,
    and Invalid where a key file cannot be written.
    """
    with locked(rt.settings):
        is_new = not rt.audit_keys.is_unfinished
        if is_new and step not in {RotationStep.ALL, RotationStep.ADD}:
            raise Conflict(
                "no rotation of the audit key has begun; run "
                "`tocsin keys rotate --audit --step add` first"
            )
        new = rt.audit_keys.add_next() if is_new else rt.audit_keys.next or rt.audit_key
        report(f"audit key {new.id}: added")
        if step is RotationStep.ADD:
            return AuditRotation(new.id, new.public.hex, None)
        number = None
        if step is RotationStep.FINISH:
            await _require_signing(rt, new.public.hex)
        else:
            await seal_pending(rt)
            batch = await seal_key_change(rt, new, actor=actor)
            number = batch.number if batch else None
        await _remember(rt)
        report(f"audit key {new.id}: signs the trail")
        if step is not RotationStep.USE:
            rt.audit_keys.promote()
            rt.audit_keys.destroy_retired()
            report("the retired audit key is destroyed")
        return AuditRotation(new.id, new.public.hex, number)


async def _require_signing(rt: Runtime, public_key: str) -> None:
    async with rt.store.read() as session:
        keys = await load_keys(rt, session)
    if keys.signer.public.hex != public_key:
        raise Conflict(
            "the trail has not changed to the new key yet; run "
            "`tocsin keys rotate --audit --step use` first"
        )


async def _remember(rt: Runtime) -> None:
    """Keep the change outside the database, before the old key is destroyed."""
    await advance_anchor(rt)
    async with rt.store.read() as session:
        keys = await load_keys(rt, session)
    save_key_changes(rt.settings.audit_keys_path, keys.changes)
