"""Publishing of playbook versions. A published version never changes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

from pydantic import ConfigDict
from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit import trail
from orchestrator.connections.catalogue import load_catalogue
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict, NotFound
from orchestrator.domain.model import Frozen
from orchestrator.playbook.compile.compiler import CompiledPlaybook, compile_playbook
from orchestrator.playbook.plan import Plan
from orchestrator.runtime import Runtime
from orchestrator.store.dialect import Lock, lock
from orchestrator.store.queries import records
from orchestrator.store.tables import PlaybookRow, SignatureRow

_EXAMPLE: dict[str, Any] = {
    "name": "c2-beacon-containment",
    "version": 3,
    "digest": "6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
    "title": "Contain a host that beacons to a command-and-control server",
    "owner": "soc-tier-2",
    "source": "playbook: c2-beacon-containment\nversion: 3\n...",
    "created_at": "2026-01-01T12:00:00Z",
    "published_by": "person:ann",
    "retired": False,
    "stage": "live",
    "tested": True,
}


class PlaybookView(Frozen):
    """A published version."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    name: str
    version: int
    digest: str
    title: str
    owner: str
    source: str
    created_at: datetime
    published_by: str
    retired: bool
    stage: str = "live"
    tested: bool = False
    """Whether its tests were published with it."""


class PlaybookFiles(Frozen):
    """The files next to a playbook: its tests.yaml, and those that the tests name."""

    tests: str | None = None
    files: dict[str, str] = {}
    """By relative name, in base64."""


class PromotionEvidence(NamedTuple):
    """What a promoted version is published with."""

    digest: str  # that was signed and tested
    signatures: Sequence[SignatureRow]
    report: dict[str, Any] | None  # of its trial
    details: dict[str, Any]  # of the audit event
    actor: str  # who promotes it


async def published_plans(rt: Runtime) -> dict[tuple[str, int], Plan]:
    """Return the plans of all versions, by name and version."""
    async with rt.store.read() as session:
        return {
            (row.name, row.version): Plan.model_validate(row.plan)
            for row in await records.list_all(session, PlaybookRow)
        }


async def check_playbook(rt: Runtime | None, text: str, file: str) -> CompiledPlaybook:
    """Compile a playbook against this environment. Raises PlaybookInvalid with every problem."""
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
    files: PlaybookFiles | None = None,
    stage: Literal["live", "shadow"] = "live",
    evidence: PromotionEvidence | None = None,
) -> PlaybookView:
    """Publish a version. A version in stage `shadow` runs dry next to the live one.

    Publishing the same content again changes nothing, except that missing tests and signatures
    are added. Raises PlaybookInvalid, and Conflict when the version has other content, when the
    evidence is about other content, and when `require_signed` is on and there is no evidence: an
    unsigned version would replace the one that runs.
    """
    compiled = await check_playbook(rt, text, file)
    plan, now = compiled.plan, rt.clock()
    if evidence is not None and evidence.digest != plan.digest:
        raise Conflict(
            f"{file}: the digest changed since it was signed; check the connections and try again"
        )
    row = _new_row(compiled, text, actor, files, stage, now)
    view = _view(row)
    async with rt.store.write() as session:
        await lock(session, Lock.CONFIGURATION, [f"playbook {plan.playbook}"])
        before = await records.get(session, PlaybookRow, (plan.playbook, plan.version))
        if before is not None and before.digest == plan.digest:
            if before.tests is None and files is not None:
                before.tests, before.files = files.tests, files.files
            await _save_evidence(session, before, evidence, now)
            return _view(before)
        _check_is_new(rt, file, plan, before, evidence)
        await records.add(session, row)
        data = {"version": plan.version, "digest": view.digest, "stage": stage}
        await trail.record(
            session,
            EventKind.PLAYBOOK_PUBLISHED,
            actor=actor,
            subject=plan.playbook,
            data=data,
            now=now,
        )
        await _save_evidence(session, row, evidence, now)
    return view


async def list_playbooks(rt: Runtime) -> tuple[PlaybookView, ...]:
    """Return every version of every playbook."""
    async with rt.store.read() as session:
        return tuple(_view(row) for row in await records.list_all(session, PlaybookRow))


async def get_playbook(rt: Runtime, name: str, version: int | None = None) -> PlaybookView:
    """Return a version, or the newest that is live and not retired. Raises NotFound."""
    async with rt.store.read() as session:
        found = await records.versions(session, name)
    for row in found:
        if row.version == version or (version is None and not row.retired and row.stage == "live"):
            return _view(row)
    raise NotFound(
        f"playbook {name}"
        + (f" version {version}" if version is not None else "")
        + " does not exist; see `tocsin playbook list`"
    )


async def load_version(session: AsyncSession, name: str, version: int) -> PlaybookRow:
    """Return the row of a version. Raises NotFound."""
    row = await records.get(session, PlaybookRow, (name, version))
    if row is None:
        raise NotFound(
            f"playbook {name} version {version} does not exist; see `tocsin playbook list`"
        )
    return row


async def retire_playbook(rt: Runtime, name: str, version: int, *, actor: str) -> PlaybookView:
    """Let no new run start with a version. Raises NotFound."""
    async with rt.store.write() as session:
        row = await load_version(session, name, version)
        row.retired = True
        data = {"version": version}
        await trail.record(
            session,
            EventKind.PLAYBOOK_RETIRED,
            actor=actor,
            subject=name,
            data=data,
            now=rt.clock(),
        )
        return _view(row)


def _check_is_new(
    rt: Runtime,
    file: str,
    plan: Plan,
    before: PlaybookRow | None,
    evidence: PromotionEvidence | None,
) -> None:
    """Raise Conflict for a version with other content, or without required signatures."""
    if before is not None:
        raise Conflict(
            f"{file}: version {plan.version} of {plan.playbook} is published with other "
            "content; raise `version`"
        )
    if rt.settings.require_signed and evidence is None:
        raise Conflict(
            f"{file}: only signed versions run here (`require_signed`); "
            "publish it with `tocsin playbook promote`"
        )


def _new_row(
    compiled: CompiledPlaybook,
    text: str,
    actor: str,
    files: PlaybookFiles | None,
    stage: str,
    now: datetime,
) -> PlaybookRow:
    plan = compiled.plan
    return PlaybookRow(
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
        tests=files.tests if files else None,
        files=files.files if files else {},
    )


async def _save_evidence(
    session: AsyncSession, row: PlaybookRow, evidence: PromotionEvidence | None, now: datetime
) -> None:
    """Persist the evidence in the caller's transaction.

    At no moment is a version the newest one without what lets it run.
    """
    if evidence is None:
        return
    row.report = evidence.report
    for each in evidence.signatures:
        await records.upsert(session, each)
    await trail.record(
        session,
        EventKind.PLAYBOOK_PROMOTED,
        actor=evidence.actor,
        subject=row.name,
        data=evidence.details,
        now=now,
    )


def _view(row: PlaybookRow) -> PlaybookView:
    return PlaybookView(
        **row.model_dump(exclude={"plan", "positions", "tests", "files", "report", "published_at"}),
        created_at=row.published_at,
        tested=row.tests is not None,
    )
