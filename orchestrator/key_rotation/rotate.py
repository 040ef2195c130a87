"""Rotation of the encryption key: everything is sealed again by a new key, while the stack runs.

1. A new key is added to the file; every process can decrypt with it.
2. It is put first; every process seals with it from now on.
3. What older keys have sealed is sealed again, a few rows at a time.
4. Once no transaction from before is open and nothing is left, older keys are retired: they decrypt
   payloads of running workflows, and authenticate nothing.

Each step looks at what is there, so that a rotation that was cut off goes on when it is repeated.
The installation is bound to the new key last: until then, the rotation is not over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client

from orchestrator.audit.sealer import seal_pending
from orchestrator.audit.trail import record
from orchestrator.crypto.keys import KeyUse, new_key
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict
from orchestrator.installation.identity import bind_key, bound_key
from orchestrator.key_rotation.ring_file import RingFile, locked
from orchestrator.key_rotation.sealed import TABLES, candidates, keys_in_use, reseal_row
from orchestrator.key_rotation.step import RotationStep
from orchestrator.runtime import Runtime
from orchestrator.store import sealed_rows
from orchestrator.store.authentic import RowRefused
from orchestrator.store.queries import records
from orchestrator.store.sealed_rows import Table
from orchestrator.store.tables import AuditEventRow, InstallationRow
from orchestrator.store.tables.installation import SLOT

ROWS_AT_ONCE = 100
"""Rows in one transaction: other writers wait for it."""

_ROUNDS = 20
_CLOCKS = timedelta(minutes=1)
"""How far the clocks of this machine and of Temporal may be apart."""
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation did."""

    key: str
    """The id of the new key."""
    retired: tuple[str, ...]
    resealed: int
    refused: int
    """Rows that do not verify, which stay as they are."""


async def rotate(rt: Runtime, step: RotationStep, report: Report, *, actor: str) -> Rotation:
    """Rotate the encryption key, or go on where a rotation was cut off.

    Raise Invalid for keys in the environment, and Conflict for a step before its time.
    """
    file = RingFile(rt.settings)
    with locked(rt.settings):
        if not await _is_pending(rt, file):
            if step not in {RotationStep.ALL, RotationStep.ADD}:
                raise Conflict("no rotation has begun; run `tocsin keys rotate --step add` first")
            await _add(rt, file, actor)
        new = file.key(KeyUse.NEXT) or file.ring.newest
        report(f"key {new.id}: added")
        if step is RotationStep.ADD:
            return Rotation(new.id, (), 0, 0)
        if step is RotationStep.FINISH and file.key(KeyUse.NEXT) is not None:
            raise Conflict(f"key {new.id} is not used yet; run `tocsin keys rotate --step use`")
        file.promote()
        report(f"key {new.id}: in use")
        resealed, refused = await _reseal_all(rt, report)
        if step is RotationStep.USE:
            return Rotation(new.id, (), resealed, refused)
        more, retired = await _finish(rt, file, report, actor)
        report(f"key {new.id}: everything is sealed by it; retired: {', '.join(retired)}")
        return Rotation(new.id, tuple(retired), resealed + more, refused)


async def _is_pending(rt: Runtime, file: RingFile) -> bool:
    return file.key(KeyUse.NEXT) is not None or file.ring.newest.id != await _bound(rt)


async def _bound(rt: Runtime) -> str:
    async with rt.store.read() as session:
        return bound_key(rt, await _identity(session))


async def _identity(session: AsyncSession) -> InstallationRow:
    found = await records.get(session, InstallationRow, SLOT)
    if found is None:
        raise Conflict("the database is not prepared; run `tocsin migrate`")
    return found


async def _add(rt: Runtime, file: RingFile, actor: str) -> None:
    file.require_writable()
    new = new_key(KeyUse.NEXT)
    data = {"key": new.id, "instead_of": file.ring.newest.id}
    async with rt.store.write() as session:
        await _record(rt, session, EventKind.ENCRYPTION_KEY_ADDED, actor, data)
    file.add(new)


async def _record(
    rt: Runtime, session: AsyncSession, kind: EventKind, actor: str, data: dict[str, Any]
) -> None:
    subject = (await _identity(session)).id
    await record(session, kind, actor=actor, subject=subject, data=data, now=rt.clock())


async def _reseal_all(rt: Runtime, report: Report) -> tuple[int, int]:
    resealed = refused = 0
    for table in TABLES:
        async with rt.store.read() as session:
            keys = await candidates(rt, session, table)
        done = 0
        for start in range(0, len(keys), ROWS_AT_ONCE):
            chunk = keys[start : start + ROWS_AT_ONCE]
            changed, bad = await _reseal(rt, table, chunk)
            done, refused = done + changed, refused + bad
            if len(keys) > ROWS_AT_ONCE:
                report(f"{table.__tablename__}: {start + len(chunk)} of {len(keys)}")
        if done:
            report(f"{table.__tablename__}: {done} rows sealed again")
        resealed += done
    return resealed, refused


async def _reseal(rt: Runtime, table: Table, keys: list[sealed_rows.PrimaryKey]) -> tuple[int, int]:
    """Seal rows again in one transaction; return how many, and how many are refused."""
    changed = refused = 0
    async with rt.store.write() as session:
        for key in keys:
            try:
                row = await sealed_rows.load(session, table, key)
                changed += row is not None and await reseal_row(rt, session, row)
                refused += row is None
            except RowRefused:
                refused += 1
    return changed, refused


async def _finish(rt: Runtime, file: RingFile, report: Report, actor: str) -> tuple[int, list[str]]:
    """Retire older keys once they have sealed nothing that is used. Raise Conflict."""
    resealed = 0
    for _ in range(_ROUNDS):
        await seal_pending(rt, everywhere=True)
        more, _ = await _reseal_all(rt, report)
        resealed += more
        async with rt.store.write() as session:
            await sealed_rows.wait_for_writers(session, (*TABLES, AuditEventRow))
            newest = rt.secrets.newest_key_id
            if await sealed_rows.unsealed_events_of_others(session, newest):
                continue
            if any([await _reseal_one(rt, session, table) for table in TABLES]):
                continue
            identity = await _identity(session)
            retired = file.retire_older()
            if bound_key(rt, identity) != newest:
                bind_key(rt, identity)
                data = {"key": newest, "retired": retired}
                await _record(rt, session, EventKind.ENCRYPTION_KEY_ROTATED, actor, data)
            return resealed, retired
    raise Conflict(
        "other processes still seal with an older key; copy the key file to their machines, or "
        "restart them, and run `tocsin keys rotate` again"
    )


async def _reseal_one(rt: Runtime, session: AsyncSession, table: Table) -> bool:
    """Seal one row again that an older key has sealed; return whether there was one."""
    for key in await candidates(rt, session, table):
        try:
            row = await sealed_rows.load(session, table, key)
            if row is not None and await reseal_row(rt, session, row):
                return True
        except RowRefused:
            continue
    return False


async def drop(rt: Runtime, client: Client, key_id: str, *, actor: str) -> None:
    """Remove a retired key. Raise Conflict where something still needs it, and NotFound."""
    file = RingFile(rt.settings)
    with locked(rt.settings):
        file.require_retired(key_id)
        used = (await keys_in_use(rt)).get(key_id, 0)
        if used:
            raise Conflict(f"key {key_id} has sealed {used} rows; run `tocsin keys rotate` first")
        async with rt.store.read() as session:
            since = (await _identity(session)).key_since + _CLOCKS
        moment = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        older = await client.count_workflows(f"ExecutionStatus='Running' AND StartTime<='{moment}'")
        if older.count:
            raise Conflict(
                f"{older.count} workflows that began before {moment} still run, and their payloads "
                f"need key {key_id}; drop it when they have ended"
            )
        async with rt.store.write() as session:
            await _record(rt, session, EventKind.ENCRYPTION_KEY_DROPPED, actor, {"key": key_id})
        file.drop(key_id)
