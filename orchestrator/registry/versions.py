"""The versions of a playbook: which takes alerts, which runs as a shadow, which are in use."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict
from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit import trail
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict, NotFound
from orchestrator.domain.model import Frozen
from orchestrator.domain.run import BUILT_IN, DEBUG, SHADOW
from orchestrator.incidents.set_aside_playbooks import resume
from orchestrator.registry.publish import check_version, load_version
from orchestrator.registry.trust import start_objection
from orchestrator.runtime import Runtime
from orchestrator.store.dialect import Lock, lock
from orchestrator.store.precondition import ANY_STATE, Precondition
from orchestrator.store.queries import records, usage
from orchestrator.store.tables import PlaybookRow

Stage = Literal["live", "shadow"]


class VersionUsage(Frozen):
    """What still depends on a version."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "version": 3,
                "stage": "live",
                "retired": False,
                "takes_alerts": True,
                "open_runs": ["run_019a8c7d"],
                "live_leases": 2,
            }
        }
    )

    version: int
    stage: str
    retired: bool
    takes_alerts: bool
    open_runs: tuple[str, ...]
    live_leases: int
    """Of its runs."""


class RetiredVersions(Frozen):
    """The versions that a roll-back retired."""

    model_config = ConfigDict(json_schema_extra={"example": {"retired": [3, 4]}})

    retired: tuple[int, ...]


async def reinstate(
    rt: Runtime, name: str, version: int, *, actor: str, replaces: Precondition = ANY_STATE
) -> None:
    """Let a retired version start runs again.

    Raises NotFound, Conflict (it could not run), PreconditionFailed.
    """
    async with rt.store.write() as session:
        row = await _version(session, name, version)
        check_version(row, replaces)
        await _check_startable(rt, session, row)
        row.retired = False
        await resume(session, row, actor, rt.clock())
        await _record(rt, session, row, actor, "reinstated")


async def roll_back(
    rt: Runtime, name: str, to: int, *, actor: str, replaces: Precondition = ANY_STATE
) -> RetiredVersions:
    """Let an earlier version take alerts again, and return the newer live ones that this retires.

    `replaces`: the version that takes alerts now. Raises NotFound, Conflict, PreconditionFailed.
    """
    async with rt.store.write() as session:
        await lock(session, Lock.CONFIGURATION, [f"playbook {name}"])
        row = await _version(session, name, to)
        known = await records.versions(session, name)
        taking = next((each for each in known if each.stage == "live" and not each.retired), row)
        check_version(taking, replaces)
        newer = [
            each
            for each in known
            if each.version > to and each.stage == "live" and not each.retired
        ]
        if not newer and not row.retired and row.stage == "live":
            raise Conflict(f"{name} version {to} already takes alerts")
        await _check_startable(rt, session, row)
        for each in newer:
            each.retired = True
            await _record(rt, session, each, actor, "retired", f"rolled back to version {to}")
        row.retired, row.stage = False, "live"
        await resume(session, row, actor, rt.clock())
        await _record(rt, session, row, actor, "live", "rolled back to it")
        return RetiredVersions(retired=tuple(each.version for each in newer))


async def set_stage(
    rt: Runtime,
    name: str,
    version: int,
    stage: Stage,
    *,
    actor: str,
    replaces: Precondition = ANY_STATE,
) -> None:
    """Let a version take alerts (`live`), or run dry on the same alerts (`shadow`).

    A retired version can become a shadow. Raises NotFound, Conflict (it has that stage),
    PreconditionFailed.
    """
    async with rt.store.write() as session:
        await lock(session, Lock.CONFIGURATION, [f"playbook {name}"])
        row = await _version(session, name, version)
        check_version(row, replaces)
        again = stage == SHADOW and row.retired
        if row.stage == stage and not again:
            raise Conflict(f"{name} version {version} is already {stage}")
        await _check_startable(rt, session, row)
        row.stage, row.retired = stage, row.retired and not again
        await _record(rt, session, row, actor, stage)


async def end_shadow(rt: Runtime, name: str, version: int, *, actor: str) -> None:
    """Retire a shadow; it does not become live. Raises NotFound, Conflict (it is not a shadow)."""
    async with rt.store.write() as session:
        await lock(session, Lock.CONFIGURATION, [f"playbook {name}"])
        row = await _version(session, name, version)
        if row.stage != SHADOW or row.retired:
            raise Conflict(f"{name} version {version} is not a shadow; see `tocsin playbook list`")
        row.retired = True
        await _record(rt, session, row, actor, "retired")


async def version_usage(rt: Runtime, name: str) -> list[VersionUsage]:
    """Return every version, newest first, with what still depends on it. Raises NotFound."""
    async with rt.store.read() as session:
        rows = await records.versions(session, name)
        if not rows:
            raise NotFound(f"playbook {name} does not exist; see `tocsin playbook list`")
        runs = await usage.list_open_runs(session, name)
        leases = await usage.count_live_leases(session, name)
    live = next((row.version for row in rows if row.stage == "live" and not row.retired), None)
    return [
        VersionUsage(
            version=row.version,
            stage=row.stage,
            retired=row.retired,
            takes_alerts=row.version == live and row.set_aside_at is None,
            open_runs=tuple(runs.get(row.version, ())),
            live_leases=leases.get(row.version, 0),
        )
        for row in rows
    ]


async def _version(session: AsyncSession, name: str, version: int) -> PlaybookRow:
    row = await load_version(session, name, version)
    if row.stage == DEBUG:
        raise Conflict(
            f"{name} version {version} is a single step that a debug session applied; "
            "it cannot run again"
        )
    if row.stage == BUILT_IN:
        raise Conflict(f"{name} version {version} is built in; `tocsin contain` starts it")
    return row


async def _check_startable(rt: Runtime, session: AsyncSession, row: PlaybookRow) -> None:
    """Raise Conflict when every run of the version would be refused at its start."""
    if (why := await start_objection(session, rt.settings, row, row.digest)) is not None:
        raise Conflict(f"the version cannot run: {why}")


async def _record(
    rt: Runtime, session: AsyncSession, row: PlaybookRow, actor: str, what: str, why: str = ""
) -> None:
    data = {
        "version": row.version,
        "digest": row.digest,
        "stage": row.stage,
        "retired": row.retired,
        "what": what,
        "why": why,
    }
    await trail.record(
        session, EventKind.PLAYBOOK_STAGED, actor=actor, subject=row.name, data=data, now=rt.clock()
    )
