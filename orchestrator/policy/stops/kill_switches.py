"""Kill switches: stop all new changes, those of a connection or its connector, of a playbook, or of a source's alerts."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit import trail
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Invalid, NotFound
from orchestrator.domain.model import Frozen
from orchestrator.playbook.problems import did_you_mean
from orchestrator.runtime import Runtime
from orchestrator.store.queries import records
from orchestrator.store.tables import KillSwitchRow

SCOPES = ("global", "connection", "playbook", "source")


class KillSwitchView(Frozen):
    """An engaged kill switch; `name` is `*` for the global one, and a connection's may be its connector's.

    `warning`: said to who engages it, when nothing is called so.
    """

    scope: str
    name: str
    reason: str
    engaged_by: str
    engaged_at: datetime
    stop_releases: bool = False
    warning: str | None = None


async def engage(
    rt: Runtime, scope: str, name: str, reason: str, *, actor: str, stop_releases: bool = False
) -> KillSwitchView:
    """From the next verdict on nothing of that scope is applied; releases go on, unless they are to stop too. Raises Invalid.

    A name that nothing has is engaged too, with a warning: what it means may come yet, or be gone while its runs go on.
    """
    name = _name(scope, name)
    if not reason.strip():
        raise Invalid("a kill switch needs a reason; others will ask why nothing moves")
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
        view = KillSwitchView(**row.model_dump(), warning=await _warning(session, scope, name))
        await records.put(session, row)
        told = {"scope": scope, "name": name, "reason": reason, "stop_releases": stop_releases}
        await trail.record(
            session,
            EventKind.KILL_SWITCH_ENGAGED,
            actor=actor,
            subject=f"{scope}:{name}",
            data=told,
            now=now,
        )
    return view


async def lift(rt: Runtime, scope: str, name: str, *, actor: str) -> None:
    """Lets changes through again. Raises NotFound where it was not engaged."""
    name = _name(scope, name)
    async with rt.store.write() as session:
        if not await records.lift(session, scope, name):
            raise NotFound(f"the kill switch {scope} {name} is not engaged")
        await trail.record(
            session,
            EventKind.KILL_SWITCH_LIFTED,
            actor=actor,
            subject=f"{scope}:{name}",
            data={},
            now=rt.clock(),
        )


async def list_switches(rt: Runtime) -> tuple[KillSwitchView, ...]:
    """All that are engaged."""
    async with rt.store.read() as session:
        return tuple(
            KillSwitchView(**row.model_dump())
            for row in await records.every(session, KillSwitchRow)
        )


async def _warning(session: AsyncSession, scope: str, name: str) -> str | None:
    known = await records.names_of(session, scope)
    if known is None or name in known:
        return None
    mend = did_you_mean(name, sorted(known))
    return f"it is on, and no {scope} is called {name!r}" + (f"; {mend}" if mend else "")


def _name(scope: str, name: str) -> str:
    if scope not in SCOPES:
        mend = did_you_mean(scope, SCOPES)
        raise Invalid(f"unknown scope {scope[:64]!r}" + (f"; {mend}" if mend else ""))
    if scope != "global" and name in {"", "*"}:
        raise Invalid(f"say which {scope} is to stop")
    return "*" if scope == "global" else name
