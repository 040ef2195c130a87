"""Publishing of playbook versions. A published version never changes."""

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
from orchestrator.incidents.set_aside_playbooks import close_older, resume
from orchestrator.playbook.compile.compiler import CompiledPlaybook, Resolve
from orchestrator.playbook.plan import Plan
from orchestrator.registry.analysis import compile_draft
from orchestrator.registry.drafts import Draft, resolve_with
from orchestrator.registry.views import PlaybookView, PublishedPlaybook, PublishOutcome
from orchestrator.runtime import Runtime
from orchestrator.store.dialect import Lock, lock
from orchestrator.store.precondition import ANY_STATE, Precondition
from orchestrator.store.queries import records
from orchestrator.store.search import configuration
from orchestrator.store.search.filters import PlaybookFilter
from orchestrator.store.tables import PlaybookRow, SignatureRow

EVERY_VERSION = PlaybookFilter()


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


async def load_resolve(rt: Runtime | None, given: Sequence[Draft] = ()) -> Resolve:
    """Return how a call finds its playbook: published here, or among drafts given with it."""
    known = await published_plans(rt) if rt is not None else {}
    return resolve_with(given, await load_catalogue(rt), known)


async def publish_playbook(
    rt: Runtime,
    text: str,
    file: str,
    *,
    actor: str,
    files: PlaybookFiles | None = None,
    stage: Literal["live", "shadow"] = "live",
    evidence: PromotionEvidence | None = None,
) -> PublishedPlaybook:
    """Publish a version. A version in stage `shadow` runs dry next to the live one.

    Publishing the same content again changes nothing, except that missing tests and signatures
    are added. Raises PlaybookInvalid, and Conflict when the version has other content or other
    tests, when the evidence is about other content, and when `require_signed` is on and there is
    no evidence: an unsigned version would replace the one that runs.
    """
    compiled = await compile_draft(rt, text, file)
    plan, now = compiled.plan, rt.clock()
    if evidence is not None and evidence.digest != plan.digest:
        raise Conflict(
            f"{file}: the digest changed since it was signed; check the connections and try again"
        )
    row = _new_row(compiled, text, actor, files, stage, now)
    outcome = PublishOutcome.PUBLISHED
    async with rt.store.write() as session:
        await lock(session, Lock.CONFIGURATION, [f"playbook {plan.playbook}"])
        before = await records.get(session, PlaybookRow, (plan.playbook, plan.version))
        if before is not None and before.digest == plan.digest:
            outcome = _add_tests(before, files, file)
            if await resume(session, before, actor, now):
                outcome = PublishOutcome.RESUMED
            await _save_evidence(session, before, evidence, now)
            return _published(before, outcome)
        _check_is_new(rt, file, plan, before, evidence)
        await records.add(session, row)
        data = {"version": plan.version, "digest": row.digest, "stage": stage}
        await trail.record(
            session,
            EventKind.PLAYBOOK_PUBLISHED,
            actor=actor,
            subject=plan.playbook,
            data=data,
            now=now,
        )
        await _save_evidence(session, row, evidence, now)
        await close_older(session, row, actor, now)
    return _published(row, outcome)


async def list_playbooks(
    rt: Runtime, wanted: PlaybookFilter = EVERY_VERSION
) -> tuple[PlaybookView, ...]:
    """Return versions of playbooks by name and version."""
    async with rt.store.read() as session:
        return tuple(_view(row) for row in await configuration.list_playbooks(session, wanted))


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


async def retire_playbook(
    rt: Runtime, name: str, version: int, *, actor: str, replaces: Precondition = ANY_STATE
) -> PlaybookView:
    """Let no new run start with a version. Raises NotFound, PreconditionFailed."""
    async with rt.store.write() as session:
        row = await load_version(session, name, version)
        check_version(row, replaces)
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


def check_version(row: PlaybookRow, replaces: Precondition) -> None:
    """Raise PreconditionFailed unless a version is as the person has seen it."""
    replaces.check(f"playbook {row.name} version {row.version}", _view(row))


def same_files(row: PlaybookRow, files: PlaybookFiles) -> bool:
    """Return whether a version was published with these tests and files."""
    return row.tests == files.tests and row.files == files.files


def _add_tests(row: PlaybookRow, files: PlaybookFiles | None, file: str) -> PublishOutcome:
    """Add tests to a version without. Raises Conflict for other tests than its own."""
    if files is None or same_files(row, files):
        return PublishOutcome.UNCHANGED
    if row.tests is not None:
        raise Conflict(
            f"{file}: version {row.version} of {row.name} is published with other tests, which "
            "are part of what is published; raise `version`"
        )
    row.tests, row.files = files.tests, files.files
    return PublishOutcome.TESTS_ADDED


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
        **row.model_dump(include=set(PlaybookView.model_fields)),
        created_at=row.published_at,
        tested=row.tests is not None,
    )


def _published(row: PlaybookRow, outcome: PublishOutcome) -> PublishedPlaybook:
    return PublishedPlaybook(**_view(row).model_dump(), outcome=outcome)
