"""Playbooks: check, publish, list, show, retire; a published version is never altered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit import trail
from orchestrator.connections.catalogue import load_catalogue
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict, NotFound
from orchestrator.domain.model import Frozen
from orchestrator.playbook.compile.compiler import Compiled, compile_playbook
from orchestrator.playbook.plan import Plan
from orchestrator.runtime import Runtime
from orchestrator.store.dialect import Lock, lock
from orchestrator.store.queries import records
from orchestrator.store.tables import PlaybookRow, SignatureRow


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
    stage: str = "live"
    tested: bool = False  # whether its tests were published with it


class Beside(Frozen):
    """What lies beside a playbook: its tests.yaml, and the files that they name, by their relative names, in base64."""

    tests: str | None = None
    files: dict[str, str] = {}


class Vouched(NamedTuple):
    """What speaks for a version that is promoted: the digest that was signed and tried, by whom, its trial, and what the trail is told."""

    digest: str
    signatures: Sequence[SignatureRow]
    report: dict[str, Any] | None
    told: dict[str, Any]
    actor: str


async def published_plans(rt: Runtime) -> dict[tuple[str, int], Plan]:
    """The plans of all versions, by name and version."""
    async with rt.store.read() as session:
        return {
            (row.name, row.version): Plan.model_validate(row.plan)
            for row in await records.every(session, PlaybookRow)
        }


async def check_playbook(rt: Runtime | None, text: str, file: str) -> Compiled:
    """Compiles it against this environment. Raises PlaybookInvalid with every problem."""
    known = await published_plans(rt) if rt is not None else {}
    return compile_playbook(
        text, file, await load_catalogue(rt), lambda name, version: known.get((name, version))
    )


async def publish_playbook(
    rt: Runtime,
    text: str,
    file: str,
    *,
    actor: str,
    beside: Beside | None = None,
    stage: Literal["live", "shadow"] = "live",
    vouched: Vouched | None = None,
) -> PlaybookView:
    """Publishes a version; the same content again is no change, but tests and signatures that it came without are kept with it.

    `stage` shadow: it runs dry beside the live version. Raises PlaybookInvalid, Conflict: also where only signed versions run and nobody
    vouches for it, as it would take the place of the one that does, and where what is vouched for is another.
    """
    compiled = await check_playbook(rt, text, file)
    plan, now = compiled.plan, rt.clock()
    if vouched is not None and vouched.digest != plan.digest:
        raise Conflict(
            f"{file}: compiled here it has another digest by now than was signed; look at the connections, and try again"
        )
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
        stage=stage,
        tests=beside.tests if beside else None,
        files=beside.files if beside else {},
    )
    view = _view(row)
    async with rt.store.write() as session:
        await lock(session, Lock.CONFIGURATION, [f"playbook {plan.playbook}"])
        before = await records.one(session, PlaybookRow, (plan.playbook, plan.version))
        if before is not None and before.digest == plan.digest:
            if before.tests is None and beside is not None:
                before.tests, before.files = beside.tests, beside.files
            await _vouch(session, before, vouched, now)
            return _view(before)
        if before is not None:
            raise Conflict(
                f"{file}: version {plan.version} of {plan.playbook} is published with other content; raise `version`"
            )
        if rt.settings.require_signed and vouched is None:
            raise Conflict(
                f"{file}: only signed versions run here (`require_signed`); bring it with `tocsin playbook promote`"
            )
        await records.add(session, row)
        told = {"version": plan.version, "digest": view.digest, "stage": stage}
        await trail.record(
            session,
            EventKind.PLAYBOOK_PUBLISHED,
            actor=actor,
            subject=plan.playbook,
            data=told,
            now=now,
        )
        await _vouch(session, row, vouched, now)
    return view


async def _vouch(
    session: AsyncSession, row: PlaybookRow, vouched: Vouched | None, now: datetime
) -> None:
    """In the same transaction: at no moment does the newest version stand there without what lets it run."""
    if vouched is None:
        return
    row.report = vouched.report
    for each in vouched.signatures:
        await records.put(session, each)
    await trail.record(
        session,
        EventKind.PLAYBOOK_PROMOTED,
        actor=vouched.actor,
        subject=row.name,
        data=vouched.told,
        now=now,
    )


async def list_playbooks(rt: Runtime) -> tuple[PlaybookView, ...]:
    """Every version of each."""
    async with rt.store.read() as session:
        return tuple(_view(row) for row in await records.every(session, PlaybookRow))


async def get_playbook(rt: Runtime, name: str, version: int | None = None) -> PlaybookView:
    """A version, or the newest that is live and not retired. Raises NotFound."""
    async with rt.store.read() as session:
        found = await records.versions(session, name)
    for row in found:
        if row.version == version or (version is None and not row.retired and row.stage == "live"):
            return _view(row)
    raise NotFound(
        f"there is no playbook {name}" + (f" version {version}" if version is not None else "")
    )


async def retire_playbook(rt: Runtime, name: str, version: int, *, actor: str) -> PlaybookView:
    """No new run starts with it. Raises NotFound."""
    async with rt.store.write() as session:
        row = await records.one(session, PlaybookRow, (name, version))
        if row is None:
            raise NotFound(f"there is no playbook {name} version {version}")
        row.retired = True
        told = {"version": version}
        await trail.record(
            session,
            EventKind.PLAYBOOK_RETIRED,
            actor=actor,
            subject=name,
            data=told,
            now=rt.clock(),
        )
        return _view(row)


def _view(row: PlaybookRow) -> PlaybookView:
    return PlaybookView(
        **row.model_dump(exclude={"plan", "positions", "tests", "files", "report"}),
        tested=row.tests is not None,
    )
