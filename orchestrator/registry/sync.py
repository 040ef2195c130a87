"""Sync: bring an installation to what a folder holds, planned first, and all of it or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Literal

from pydantic import ConfigDict, Field

from orchestrator.connections.catalogue import load_catalogue
from orchestrator.domain.errors import Conflict, Invalid, NotFound
from orchestrator.domain.model import Frozen
from orchestrator.domain.run import DEBUG
from orchestrator.playbook.catalogue import Catalogue
from orchestrator.playbook.plan import Plan
from orchestrator.policy import policies
from orchestrator.policy.document import parse_policy
from orchestrator.registry import publish
from orchestrator.registry.drafts import compile_together
from orchestrator.registry.publish import PlaybookFiles
from orchestrator.runtime import Runtime
from orchestrator.store.queries import records
from orchestrator.store.tables import PlaybookRow


class SyncVerb(StrEnum):
    """What a sync does with a version or the policy."""

    UNCHANGED = "unchanged"
    PUBLISH = "publish"
    RETIRE = "retire"
    PUT_IN_FORCE = "put in force"


class FolderPlaybook(Frozen):
    """The playbook of one folder, with the files next to it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str = Field(min_length=1, max_length=300)
    text: str = Field(max_length=1_000_000)
    tests: str | None = Field(default=None, max_length=1_000_000)
    files: dict[str, str] = Field(default={}, max_length=500)


class FolderContent(Frozen):
    """What a folder holds, and the environment that it is for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    environment: Literal["staging", "production"]
    playbooks: tuple[FolderPlaybook, ...] = Field(max_length=500)
    policy: str | None = Field(default=None, max_length=1_000_000)
    prune: bool = False


class SyncStep(Frozen):
    """One thing to do, or one that needs nothing."""

    verb: SyncVerb
    what: str
    detail: str = ""


class SyncResult(Frozen):
    """The steps of a sync."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "steps": [
                    {
                        "verb": "publish",
                        "what": "c2-beacon-containment version 3",
                        "detail": "after version 2",
                    }
                ],
                "done": True,
            }
        }
    )

    steps: tuple[SyncStep, ...]
    done: bool
    """Whether the steps were carried out, or only planned."""

    @property
    def changes(self) -> int:
        """The number of steps that change something."""
        return sum(step.verb is not SyncVerb.UNCHANGED for step in self.steps)


async def sync(rt: Runtime, wanted: FolderContent, *, plan_only: bool, actor: str) -> SyncResult:
    """Bring the installation to what a folder holds, or only plan that.

    Raises Conflict (another environment, other content under a published version) and Invalid
    with every problem; then nothing is changed.
    """
    _check_environment(rt, wanted)
    async with rt.store.read() as session:
        rows = await records.list_all(session, PlaybookRow)
    plans = _compiled(wanted.playbooks, await load_catalogue(rt), rows)
    steps = [_step(each, plan, rows) for each, plan in plans]
    gone = _gone(rows, {plan.playbook for _, plan in plans}) if wanted.prune else []
    steps += [
        SyncStep(
            verb=SyncVerb.RETIRE,
            what=f"{row.name} version {row.version}",
            detail="not in the folder",
        )
        for row in gone
    ]
    steps += await _policy_step(rt, wanted.policy)
    if plan_only:
        return SyncResult(steps=tuple(steps), done=False)
    for (each, _), step in zip(plans, steps, strict=False):
        if step.verb is SyncVerb.PUBLISH:
            await publish.publish_playbook(
                rt, each.text, each.file, actor=actor, files=_files(each)
            )
    for row in gone:
        await publish.retire_playbook(rt, row.name, row.version, actor=actor)
    if wanted.policy is not None and steps[-1].verb is SyncVerb.PUT_IN_FORCE:
        await policies.publish_policy(rt, wanted.policy, actor=actor)
    return SyncResult(steps=tuple(steps), done=True)


def _check_environment(rt: Runtime, wanted: FolderContent) -> None:
    if wanted.environment != rt.settings.environment:
        raise Conflict(
            f"this installation is {rt.settings.environment}, but the folder is for "
            f"{wanted.environment}; nothing was changed"
        )
    if rt.settings.require_signed:
        raise Conflict(
            "only signed versions run here (`require_signed`); "
            "publish them with `tocsin playbook promote`"
        )


def _compiled(
    given: Sequence[FolderPlaybook], catalogue: Catalogue, rows: Iterable[PlaybookRow]
) -> list[tuple[FolderPlaybook, Plan]]:
    """Compile the playbooks, each after those that it calls. Raises Invalid with all problems."""
    published = {(row.name, row.version): Plan.model_validate(row.plan) for row in rows}
    compiled, invalid = compile_together(given, catalogue, published)
    if invalid:
        raise Invalid("\n".join(str(error) for _, error in invalid))
    found = [(each, playbook.plan) for each, playbook in compiled]
    names: dict[str, str] = {}
    for each, plan in found:
        if plan.playbook in names:
            raise Invalid(
                f"{each.file}: playbook {plan.playbook} is also in {names[plan.playbook]}; "
                "keep one version in the folder"
            )
        names[plan.playbook] = each.file
    return found


def _step(each: FolderPlaybook, plan: Plan, rows: Iterable[PlaybookRow]) -> SyncStep:
    own = {row.version: row for row in rows if row.name == plan.playbook and row.stage != DEBUG}
    what = f"{plan.playbook} version {plan.version}"
    if (same := own.get(plan.version)) is not None:
        if same.digest != plan.digest:
            raise Conflict(
                f"{each.file}: {what} is published with other content; "
                f"raise `version` to {max(own) + 1}"
            )
        if same.retired:
            raise Conflict(
                f"{each.file}: {what} is retired here; reinstate it with "
                "`tocsin playbook reinstate`, or raise `version`"
            )
        if each.tests is None or publish.same_files(same, _files(each)):
            return SyncStep(verb=SyncVerb.UNCHANGED, what=what)
        if same.tests is None:
            return SyncStep(verb=SyncVerb.PUBLISH, what=what, detail="its tests are added")
        raise Conflict(
            f"{each.file}: {what} is published with other tests, which are part of what is "
            f"published; raise `version` to {max(own) + 1}"
        )
    if own and max(own) > plan.version:
        raise Conflict(
            f"{each.file}: {what} is older than version {max(own)}, which is published; "
            "raise `version`, or roll back"
        )
    return SyncStep(
        verb=SyncVerb.PUBLISH, what=what, detail=f"after version {max(own)}" if own else "new"
    )


def _files(each: FolderPlaybook) -> PlaybookFiles:
    return PlaybookFiles(tests=each.tests, files=each.files)


def _gone(rows: Iterable[PlaybookRow], names: set[str]) -> list[PlaybookRow]:
    return [
        row for row in rows if row.name not in names and not row.retired and row.stage == "live"
    ]


async def _policy_step(rt: Runtime, text: str | None) -> list[SyncStep]:
    if text is None:
        return []
    parse_policy(text)
    try:
        now = await policies.current_policy(rt)
    except NotFound:
        return [SyncStep(verb=SyncVerb.PUT_IN_FORCE, what="the policy", detail="the first one")]
    if now.source == text:
        return [SyncStep(verb=SyncVerb.UNCHANGED, what="the policy")]
    return [
        SyncStep(
            verb=SyncVerb.PUT_IN_FORCE, what="the policy", detail=f"after version {now.version}"
        )
    ]
