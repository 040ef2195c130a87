"""Kill switches: stop all changes, or those of a connection, a playbook or a source."""

from __future__ import annotations

from datetime import datetime

from pydantic import ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit import trail
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Invalid, NotFound
from orchestrator.domain.model import Frozen
from orchestrator.playbook.problems import did_you_mean
from orchestrator.runtime import Runtime
from orchestrator.store import standing
from orchestrator.store.queries import containments, records
from orchestrator.store.tables import KillSwitchRow

SCOPES = ("global", "connection", "playbook", "source")


class KillSwitchView(Frozen):
    """An engaged kill switch."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "scope": "connection",
                "name": "firewall",
                "reason": "maintenance",
                "engaged_by": "person:ann",
                "created_at": "2026-01-01T12:00:00Z",
                "stop_releases": False,
                "warning": None,
            }
        }
    )

    scope: str
    name: str = Field(
        description="`*` for the global switch; a connection's may be its connector's."
    )
    reason: str
    engaged_by: str
    created_at: datetime
    stop_releases: bool = False
    warning: str | None = Field(
        default=None, description="Set when it is engaged for a name that nothing has."
    )


async def engage(
    rt: Runtime, scope: str, name: str, reason: str, *, actor: str, stop_releases: bool = False
) -> KillSwitchView:
    """Stop every change of a scope from the next evaluation on. Raise Invalid.

    Releases continue unless `stop_releases` is set. A name that nothing has is engaged with a
    warning, because it may be created later, or its runs may outlive it.
    """
    name = _name(scope, name)
    if not reason.strip():
        raise Invalid("reason: give a reason, which people see when a change is stopped")
    now = rt.clock()
    row = KillSwitchRow(
        scope=scope,
        name=name,
        reason=reason,
        engaged_by=actor,
        engaged_at=now,
        stop_releases=stop_releases,
    )
    async with rt.store.write() as session:
        view = _view(row, await _warning(session, scope, name))
        await records.upsert(session, row)
        details = {"scope": scope, "name": name, "reason": reason, "stop_releases": stop_releases}
        await trail.record(
            session,
            EventKind.KILL_SWITCH_ENGAGED,
            actor=actor,
            subject=f"{scope}:{name}",
            data=details,
            now=now,
        )
    return view


async def lift(rt: Runtime, scope: str, name: str, *, actor: str) -> None:
    """Lift a kill switch. Raise NotFound if it is not engaged."""
    name = _name(scope, name)
    async with rt.store.write() as session:
        was_engaged = await standing.is_engaged(session, scope, name)
        # A row that was deleted past Tocsin stops changes until a person lifts it.
        if not await records.remove_kill_switch(session, scope, name) and not was_engaged:
            raise NotFound(f"the kill switch {scope} {name} is not engaged")
        await containments.retry_now(session, rt.clock())
        await trail.record(
            session,
            EventKind.KILL_SWITCH_LIFTED,
            actor=actor,
            subject=f"{scope}:{name}",
            data={},
            now=rt.clock(),
        )


async def list_switches(rt: Runtime) -> tuple[KillSwitchView, ...]:
    """Return the engaged kill switches."""
    async with rt.store.read() as session:
        rows = await standing.kill_switches(session)
        return tuple(_view(row) for row in sorted(rows, key=lambda row: (row.scope, row.name)))


def _view(row: KillSwitchRow, warning: str | None = None) -> KillSwitchView:
    return KillSwitchView(
        **row.model_dump(exclude={"engaged_at"}), created_at=row.engaged_at, warning=warning
    )


async def _warning(session: AsyncSession, scope: str, name: str) -> str | None:
    known = await records.names_in_scope(session, scope)
    if known is None or name in known:
        return None
    fix = did_you_mean(name, sorted(known))
    return f"engaged, but no {scope} is named {name!r}" + (f"; {fix}" if fix else "")


def _name(scope: str, name: str) -> str:
    if scope not in SCOPES:
        fix = did_you_mean(scope, SCOPES)
        raise Invalid(f"unknown scope {scope[:64]!r}" + (f"; {fix}" if fix else ""))
    if scope != "global" and name in {"", "*"}:
        raise Invalid(f"name: give the {scope} to stop")
    return "*" if scope == "global" else name
