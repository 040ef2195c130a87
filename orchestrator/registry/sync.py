"""What has to change so that an installation has what a folder holds? Told first, then done, all of it or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import ConfigDict, Field

from orchestrator.connections.catalogue import load_catalogue
from orchestrator.domain.errors import Conflict, Invalid, NotFound
from orchestrator.domain.model import Frozen
from orchestrator.domain.run import DEBUG
from orchestrator.playbook.catalogue import Catalogue
from orchestrator.playbook.compile.compiler import compile_playbook
from orchestrator.playbook.plan import Plan
from orchestrator.playbook.problems import PlaybookInvalid
from orchestrator.policy import policies
from orchestrator.policy.document import parse_policy
from orchestrator.registry import playbooks
from orchestrator.registry.playbooks import Beside
from orchestrator.runtime import Runtime
from orchestrator.store.queries import records
from orchestrator.store.tables import PlaybookRow

Verb = Literal["unchanged", "publish", "retire", "put in force"]


class WantedPlaybook(Frozen):
    """One folder's playbook with what lies beside it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str = Field(min_length=1, max_length=300)
    text: str = Field(max_length=1_000_000)
    tests: str | None = Field(default=None, max_length=1_000_000)
    files: dict[str, str] = Field(default={}, max_length=500)


class Wanted(Frozen):
    """What a folder holds, and for which environment it is meant."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    environment: Literal["staging", "production"]
    playbooks: tuple[WantedPlaybook, ...] = Field(max_length=500)
    policy: str | None = Field(default=None, max_length=1_000_000)
    prune: bool = False


class Step(Frozen):
    """One thing to do, or that is so already."""

    verb: Verb
    what: str
    detail: str = ""


class Synced(Frozen):
    """The steps; `done`: whether they were carried out. `changes`: how many are more than `unchanged`."""

    steps: tuple[Step, ...]
    done: bool

    @property
    def changes(self) -> int:
        """How many steps change something."""
        return sum(step.verb != "unchanged" for step in self.steps)


async def sync(rt: Runtime, wanted: Wanted, *, plan_only: bool, actor: str) -> Synced:
    """Raises Conflict (environment, content of a published version changed), Invalid with every problem; then nothing is done."""
    _fits(rt, wanted)
    async with rt.store.read() as session:
        rows = await records.every(session, PlaybookRow)
    plans = _compiled(wanted.playbooks, await load_catalogue(rt), rows)
    steps = [_step(each, plan, rows) for each, plan in plans]
    gone = _gone(rows, {plan.playbook for _, plan in plans}) if wanted.prune else []
    steps += [
        Step(
            verb="retire",
            what=f"{row.name} version {row.version}",
            detail="it is not in the folder",
        )
        for row in gone
    ]
    steps += await _policy_step(rt, wanted.policy)
    if plan_only:
        return Synced(steps=tuple(steps), done=False)
    for (each, _), step in zip(plans, steps, strict=False):
        if step.verb == "publish":
            beside = Beside(tests=each.tests, files=each.files)
            await playbooks.publish_playbook(rt, each.text, each.file, actor=actor, beside=beside)
    for row in gone:
        await playbooks.retire_playbook(rt, row.name, row.version, actor=actor)
    if wanted.policy is not None and steps[-1].verb == "put in force":
        await policies.publish_policy(rt, wanted.policy, actor=actor)
    return Synced(steps=tuple(steps), done=True)


def _fits(rt: Runtime, wanted: Wanted) -> None:
    if wanted.environment != rt.settings.environment:
        raise Conflict(
            f"this installation is {rt.settings.environment}, and the folder is meant for {wanted.environment}; nothing was done"
        )
    if rt.settings.require_signed:
        raise Conflict(
            "only signed versions run here (`require_signed`); bring versions with `tocsin playbook promote` instead"
        )


def _compiled(
    given: Sequence[WantedPlaybook], catalogue: Catalogue, rows: Iterable[PlaybookRow]
) -> list[tuple[WantedPlaybook, Plan]]:
    """In an order in which each finds the playbooks that it calls, published ones or the folder's. Raises Invalid with all problems."""
    known = {(row.name, row.version): Plan.model_validate(row.plan) for row in rows}
    found: list[tuple[WantedPlaybook, Plan]] = []
    left = list(given)
    while left:
        problems: list[str] = []
        later: list[WantedPlaybook] = []
        for each in left:
            try:
                plan = compile_playbook(
                    each.text,
                    each.file,
                    catalogue,
                    lambda name, version: known.get((name, version)),
                ).plan
            except PlaybookInvalid as error:
                problems.append(str(error))
                later.append(each)
                continue
            known.setdefault((plan.playbook, plan.version), plan)
            found.append((each, plan))
        if len(later) == len(left):
            raise Invalid("\n".join(problems))
        left = later
    names: dict[str, str] = {}
    for each, plan in found:
        if plan.playbook in names:
            raise Invalid(
                f"{each.file}: playbook {plan.playbook} stands in {names[plan.playbook]} already; keep one version in the folder"
            )
        names[plan.playbook] = each.file
    return found


def _step(each: WantedPlaybook, plan: Plan, rows: Iterable[PlaybookRow]) -> Step:
    own = {row.version: row for row in rows if row.name == plan.playbook and row.stage != DEBUG}
    what = f"{plan.playbook} version {plan.version}"
    if (same := own.get(plan.version)) is not None:
        if same.digest != plan.digest:
            raise Conflict(
                f"{each.file}: {what} is published with other content; raise `version` to {max(own) + 1}"
            )
        if same.retired:
            raise Conflict(
                f"{each.file}: {what} is retired here; reinstate it with `tocsin playbook reinstate`, or raise `version`"
            )
        return Step(verb="unchanged", what=what)
    if own and max(own) > plan.version:
        raise Conflict(
            f"{each.file}: {what} is older than version {max(own)}, which is published; raise `version`, or roll back"
        )
    return Step(verb="publish", what=what, detail=f"after version {max(own)}" if own else "new")


def _gone(rows: Iterable[PlaybookRow], names: set[str]) -> list[PlaybookRow]:
    return [
        row for row in rows if row.name not in names and not row.retired and row.stage == "live"
    ]


async def _policy_step(rt: Runtime, text: str | None) -> list[Step]:
    if text is None:
        return []
    parse_policy(text)
    try:
        now = await policies.current_policy(rt)
    except NotFound:
        return [Step(verb="put in force", what="the policy", detail="the first one")]
    if now.source == text:
        return [Step(verb="unchanged", what="the policy")]
    return [Step(verb="put in force", what="the policy", detail=f"after version {now.version}")]
