"""Playbooks: check, publish, list, show, retire; a published version is never altered."""

from __future__ import annotations

from datetime import datetime

from connectors.capabilities import CAPABILITIES
from connectors.sdk.capability import Capability
from orchestrator.audit import trail
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict, NotFound
from orchestrator.domain.model import Frozen
from orchestrator.playbook.catalogue import ActionType, Catalogue
from orchestrator.playbook.compiler import Compiled, compile_playbook
from orchestrator.playbook.plan import Plan
from orchestrator.runtime import Runtime
from orchestrator.store import configured
from orchestrator.store.dialect import Lock, lock
from orchestrator.store.tables import ConnectionRow, PlaybookRow

_BY_NAME: dict[str, type[Capability]] = {kind.capability: kind for kind in CAPABILITIES}


class PlaybookView(Frozen):
    """A published version."""

    name: str
    version: int
    digest: str
    title: str
    owner: str
    source: str
    published_at: datetime
    published_by: str
    retired: bool


async def catalogue(rt: Runtime | None = None) -> Catalogue:
    """What `use:` can name here: the connections, and the usual names of capabilities that no connection serves yet."""
    bound: dict[str, str] = {}
    if rt is not None:
        async with rt.store.read() as session:
            bound = {row.name: row.capability for row in await configured.every(session, ConnectionRow)}
    names = {kind.usual_connection: kind.capability for kind in CAPABILITIES if kind.capability not in bound.values()} | bound
    return Catalogue.of(
        ActionType(
            connection=name,
            capability=capability,
            action=spec.name,
            effect=spec.effect,
            summary=spec.summary,
            input_schema=spec.input.model_json_schema(),
            result_schema=spec.result_schema(),
        )
        for name, capability in sorted(names.items())
        for spec in _BY_NAME[capability].actions
    )


async def check_playbook(rt: Runtime | None, text: str, file: str) -> Compiled:
    """Compiles it against this environment. Raises PlaybookInvalid with every problem."""
    known: dict[tuple[str, int], Plan] = {}
    if rt is not None:
        async with rt.store.read() as session:
            known = {(row.name, row.version): Plan.model_validate(row.plan) for row in await configured.every(session, PlaybookRow)}
    return compile_playbook(text, file, await catalogue(rt), lambda name, version: known.get((name, version)))


async def publish_playbook(rt: Runtime, text: str, file: str, *, actor: str) -> PlaybookView:
    """Publishes a version; the same content again is no change. Raises PlaybookInvalid, Conflict."""
    compiled = await check_playbook(rt, text, file)
    plan, now = compiled.plan, rt.clock()
    row = PlaybookRow(
        name=plan.playbook,
        version=plan.version,
        digest=plan.digest,
        title=plan.title,
        owner=plan.owner,
        plan=plan.model_dump(mode="json"),
        source=text,
        positions={step: list(place) for step, place in compiled.positions.items()},
        published_at=now,
        published_by=actor,
    )
    view = _view(row)
    async with rt.store.write() as session:
        await lock(session, Lock.CONFIGURATION, [f"playbook {plan.playbook}"])
        before = await configured.one(session, PlaybookRow, (plan.playbook, plan.version))
        if before is not None and before.digest == plan.digest:
            return _view(before)
        if before is not None:
            raise Conflict(f"{file}: version {plan.version} of {plan.playbook} is published with other content; raise `version`")
        await configured.add(session, row)
        told = {"version": plan.version, "digest": view.digest}
        await trail.record(session, EventKind.PLAYBOOK_PUBLISHED, actor=actor, subject=plan.playbook, data=told, now=now)
    return view


async def list_playbooks(rt: Runtime) -> tuple[PlaybookView, ...]:
    """Every version of each."""
    async with rt.store.read() as session:
        return tuple(_view(row) for row in await configured.every(session, PlaybookRow))


async def get_playbook(rt: Runtime, name: str, version: int | None = None) -> PlaybookView:
    """A version, or the newest that is not retired. Raises NotFound."""
    async with rt.store.read() as session:
        found = await configured.versions(session, name)
    for row in found:
        if row.version == version or (version is None and not row.retired):
            return _view(row)
    raise NotFound(f"there is no playbook {name}" + (f" version {version}" if version is not None else ""))


async def retire_playbook(rt: Runtime, name: str, version: int, *, actor: str) -> PlaybookView:
    """No new run starts with it. Raises NotFound."""
    async with rt.store.write() as session:
        row = await configured.one(session, PlaybookRow, (name, version))
        if row is None:
            raise NotFound(f"there is no playbook {name} version {version}")
        row.retired = True
        told = {"version": version}
        await trail.record(session, EventKind.PLAYBOOK_RETIRED, actor=actor, subject=name, data=told, now=rt.clock())
        return _view(row)


def _view(row: PlaybookRow) -> PlaybookView:
    return PlaybookView(**row.model_dump(exclude={"plan", "positions"}))
