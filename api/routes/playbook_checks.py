"""Before publishing: what is unwise about a draft, and what does it do that another version does not?"""

from __future__ import annotations

from fastapi import APIRouter

from api.container import Rt
from api.dependencies import Guarded, requires
from api.problems import documented
from api.schemas.authoring import Compare, Compared, Draft, Linted, Published
from api.schemas.configuration import PlaybookText
from orchestrator.authoring import drafts
from orchestrator.domain.access import Permission
from orchestrator.playbook.diff.model import markdown_of
from orchestrator.playbook.diff.plans import difference
from orchestrator.playbook.plan import Plan
from orchestrator.runtime import Runtime

router = APIRouter(tags=["authoring"], route_class=Guarded)


@router.post(
    "/v1/playbooks/lint",
    response_model=Linted,
    dependencies=[requires(Permission.READ)],
    responses=documented(401, 403, 422),
)
async def lint_playbook(rt: Rt, body: PlaybookText) -> object:
    """What is unwise about a playbook that could be published, by line, column, step and rule; what is waived in place is left out."""
    return Linted(findings=await drafts.lint(rt, body.text, body.file))


@router.post(
    "/v1/playbooks/diff",
    response_model=Compared,
    dependencies=[requires(Permission.READ)],
    responses=documented(401, 403, 404, 422),
)
async def diff_playbooks(rt: Rt, body: Compare) -> object:
    """What `b` does that `a` does not, by meaning: effects, approvals, targets, leases, limits, undo."""
    found = difference(await _plan(rt, body.a, "a"), await _plan(rt, body.b, "b"))
    return Compared(
        a=found.a, b=found.b, same=found.same, changes=found.changes, markdown=markdown_of(found)
    )


async def _plan(rt: Runtime, side: Draft | Published, called: str) -> Plan:
    if isinstance(side, Draft):
        return await drafts.draft_plan(rt, side.text, called)
    return await drafts.published_plan(rt, side.name, side.version)
