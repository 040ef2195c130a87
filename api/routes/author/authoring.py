"""Routes of authoring: checks, tests and graphs of drafts, editor schemas, scaffolds."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response

from api.container import Rt
from api.dependencies import GuardedRoute, requires
from api.problems import error_responses
from api.routes.author.graphs import GRAPH_RESPONSES, As, graph_response
from api.schemas.authoring import (
    ComparePlaybooks,
    DraftText,
    PublishedVersion,
    RunTests,
    ScaffoldPlaybook,
)
from api.schemas.playbooks import PlaybookDraft, PlaybookText
from orchestrator.authoring import checks, editor, graphs
from orchestrator.authoring.checks import CheckedPlaybook, LintReport
from orchestrator.authoring.editor import ScaffoldFiles
from orchestrator.authoring.graphs import GraphFormat
from orchestrator.authoring.plan_tasks import PlaybookComparison
from orchestrator.authoring.rehearsal import draft_tests
from orchestrator.authoring.rehearsal.report import ReportView
from orchestrator.domain.access import Permission
from orchestrator.playbook.plan import Plan
from orchestrator.registry import analysis
from orchestrator.runtime import Runtime

router = APIRouter(tags=["authoring"], route_class=GuardedRoute)

_SCHEMA_EXAMPLE = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Playbook",
}
_SCHEMA: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {"example": _SCHEMA_EXAMPLE}}}
}


@router.post(
    "/v1/authoring/check",
    response_model=CheckedPlaybook,
    dependencies=[requires(Permission.READ)],
    responses=error_responses(401, 403, 422),
)
async def check_playbook(rt: Rt, body: PlaybookDraft) -> CheckedPlaybook:
    """Check whether a playbook can be published; each error has line, column, step and fix."""
    return await checks.check_draft(rt, body.text, body.file, body.given)


@router.post(
    "/v1/authoring/lint",
    response_model=LintReport,
    dependencies=[requires(Permission.READ)],
    responses=error_responses(401, 403, 422),
)
async def lint_playbook(rt: Rt, body: PlaybookDraft) -> LintReport:
    """Lint a playbook; findings that are waived in place are left out."""
    return LintReport(findings=await analysis.lint_draft(rt, body.text, body.file, body.given))


@router.post(
    "/v1/authoring/diff",
    response_model=PlaybookComparison,
    dependencies=[requires(Permission.READ)],
    responses=error_responses(401, 403, 404, 422),
)
async def diff_playbooks(rt: Rt, body: ComparePlaybooks) -> PlaybookComparison:
    """Compare what two playbooks mean: effects, approvals, targets, leases, limits, undo."""
    return await checks.compare_plans(
        rt, await _plan(rt, body.a, "a"), await _plan(rt, body.b, "b")
    )


@router.post(
    "/v1/authoring/test",
    response_model=ReportView,
    dependencies=[requires(Permission.PLAYBOOK_PUBLISH)],
    responses=error_responses(401, 403, 422, 503),
)
async def test_playbook(rt: Rt, body: RunTests) -> ReportView:
    """Run the tests of a playbook by the real engine, without any system."""
    return await draft_tests.run_draft_tests(
        rt, body.playbook, body.tests, body.files, only=body.only, given=body.given
    )


@router.post(
    "/v1/authoring/graph",
    response_class=Response,
    dependencies=[requires(Permission.READ)],
    responses=GRAPH_RESPONSES | error_responses(401, 403, 422),
)
async def draw_draft_graph(rt: Rt, body: PlaybookText, as_: As = GraphFormat.SVG) -> Response:
    """Draw a playbook that need not be published."""
    return graph_response(await graphs.draw_draft(rt, body.text, body.file, as_), as_)


@router.get(
    "/v1/authoring/schema",
    response_model=dict[str, Any],
    dependencies=[requires(Permission.READ)],
    responses=_SCHEMA | error_responses(401, 403, 422),
)
async def get_playbook_schema(
    rt: Rt,
    of: Annotated[Literal["playbook", "tests", "policy"], Query(examples=["tests"])] = "playbook",
) -> dict[str, Any]:
    """Get the JSON Schema for editors; it knows the connections of this environment."""
    return await editor.load_schema(rt, of)


@router.post(
    "/v1/authoring/scaffold",
    response_model=ScaffoldFiles,
    dependencies=[requires(Permission.READ)],
    responses=error_responses(401, 403, 422),
)
async def scaffold_playbook(body: ScaffoldPlaybook) -> ScaffoldFiles:
    """Get files to start from: a playbook from a template, and tests that pass."""
    return editor.scaffold(body.name, body.template, body.title)


async def _plan(rt: Runtime, side: DraftText | PublishedVersion, name: str) -> Plan:
    if isinstance(side, DraftText):
        return (await analysis.compile_draft(rt, side.text, name)).plan
    return await checks.load_published_plan(rt, side.name, side.version)
