"""Which version of a playbook takes the next alert? Retired, brought back, rolled back, run as a shadow; and which are still in use."""

from __future__ import annotations

from typing import Literal

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit import trail
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict, NotFound
from orchestrator.domain.model import Frozen
from orchestrator.domain.run import DEBUG, SHADOW
from orchestrator.registry.evidence import objection
from orchestrator.runtime import Runtime
from orchestrator.store.dialect import Lock, lock
from orchestrator.store.queries import records, usage
from orchestrator.store.tables import PlaybookRow

Stage = Literal["live", "shadow"]


class VersionUse(Frozen):
    """What of a version still goes on: `runs` that are open, and `leases` of its runs that hold something."""

    version: int
    stage: str
    retired: bool
    takes_alerts: bool
    open_runs: tuple[str, ...]
    live_leases: int


async def reinstate(rt: Runtime, name: str, version: int, *, actor: str) -> None:
    """A retired version may be started again. Raises NotFound, Conflict (it would not run)."""
    async with rt.store.write() as session:
        row = await _version(session, name, version)
        await _may_run(rt, session, row)
        row.retired = False
        await _tell(rt, session, row, actor, "reinstated")


async def roll_back(rt: Runtime, name: str, to: int, *, actor: str) -> list[int]:
    """Makes an earlier version the one that takes alerts: newer live ones are retired, it is brought back; those that were retired."""
    async with rt.store.write() as session:
        await lock(session, Lock.CONFIGURATION, [f"playbook {name}"])
        row = await _version(session, name, to)
        newer = [
            each
            for each in await records.versions(session, name)
            if each.version > to and each.stage == "live" and not each.retired
        ]
        if not newer and not row.retired and row.stage == "live":
            raise Conflict(f"{name} version {to} takes the next alert already")
        await _may_run(rt, session, row)
        for each in newer:
            each.retired = True
            await _tell(rt, session, each, actor, "retired", f"rolled back to version {to}")
        row.retired, row.stage = False, "live"
        await _tell(rt, session, row, actor, "live", "rolled back to it")
        return [each.version for each in newer]


async def set_stage(rt: Runtime, name: str, version: int, stage: Stage, *, actor: str) -> None:
    """`shadow`: it runs dry beside the live version, on the same alerts, also when it was retired. Raises NotFound, Conflict (it is so)."""
    async with rt.store.write() as session:
        await lock(session, Lock.CONFIGURATION, [f"playbook {name}"])
        row = await _version(session, name, version)
        again = stage == SHADOW and row.retired
        if row.stage == stage and not again:
            raise Conflict(f"{name} version {version} is {stage} already")
        await _may_run(rt, session, row)
        row.stage, row.retired = stage, row.retired and not again
        await _tell(rt, session, row, actor, stage)


async def end_shadow(rt: Runtime, name: str, version: int, *, actor: str) -> None:
    """It is retired: what was only tried does not take alerts for that. Raises NotFound, Conflict (it is no shadow)."""
    async with rt.store.write() as session:
        await lock(session, Lock.CONFIGURATION, [f"playbook {name}"])
        row = await _version(session, name, version)
        if row.stage != SHADOW or row.retired:
            raise Conflict(f"{name} version {version} is no shadow; see `tocsin playbook list`")
        row.retired = True
        await _tell(rt, session, row, actor, "retired")


async def used_versions(rt: Runtime, name: str) -> list[VersionUse]:
    """Every version, newest first, with the runs and leases that still depend on it. Raises NotFound."""
    async with rt.store.read() as session:
        rows = await records.versions(session, name)
        if not rows:
            raise NotFound(f"there is no playbook {name}")
        runs = await usage.open_runs(session, name)
        leases = await usage.live_leases(session, name)
    live = next((row.version for row in rows if row.stage == "live" and not row.retired), None)
    return [
        VersionUse(
            version=row.version,
            stage=row.stage,
            retired=row.retired,
            takes_alerts=row.version == live,
            open_runs=tuple(runs.get(row.version, ())),
            live_leases=leases.get(row.version, 0),
        )
        for row in rows
    ]


async def _version(session: AsyncSession, name: str, version: int) -> PlaybookRow:
    row = await records.one(session, PlaybookRow, (name, version))
    if row is None:
        raise NotFound(f"there is no playbook {name} version {version}; see `tocsin playbook list`")
    if row.stage == DEBUG:
        raise Conflict(
            f"{name} version {version} is one step of a draft, carried out in a debug session; it runs no more"
        )
    return row


async def _may_run(rt: Runtime, session: AsyncSession, row: PlaybookRow) -> None:
    """Raises Conflict: in its place a version would take alerts of which every run is refused."""
    if (why := await objection(session, rt.settings, row, row.digest)) is not None:
        raise Conflict(f"it would not run: {why}")


async def _tell(
    rt: Runtime, session: AsyncSession, row: PlaybookRow, actor: str, what: str, why: str = ""
) -> None:
    told = {
        "version": row.version,
        "digest": row.digest,
        "stage": row.stage,
        "retired": row.retired,
        "what": what,
        "why": why,
    }
    await trail.record(
        session, EventKind.PLAYBOOK_STAGED, actor=actor, subject=row.name, data=told, now=rt.clock()
    )
