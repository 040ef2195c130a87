"""The policy: show and publish it, evaluate a hypothetical change, run test cases."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from api.container import Rt
from api.dependencies import Actor, GuardedRoute, requires
from api.filters.configuration import Policies
from api.filters.parameters import Sort
from api.paging import Cursor, Limit, Page, page_of
from api.problems import error_responses
from api.protocol.etags import IfMatch
from api.schemas.policy import (
    CheckPolicy,
    ComparePolicies,
    EvaluatePolicy,
    EvaluateStep,
    PublishPolicy,
    RollBackPolicy,
    TestPolicy,
)
from orchestrator.domain.access import Permission
from orchestrator.policy import policies, what_if
from orchestrator.policy.explain import Explanation
from orchestrator.policy.hypothetical_change import HypotheticalChange
from orchestrator.policy.policies import PolicyCheck, PolicyDifference, PolicyVersion, PolicyView
from orchestrator.policy.tests import PolicyTestReport
from orchestrator.store.search.filters import Order

router = APIRouter(tags=["policy"], route_class=GuardedRoute)


@router.get(
    "/v1/policy",
    dependencies=[requires(Permission.READ)],
    responses=error_responses(401, 403, 404),
)
async def get_policy(rt: Rt) -> PolicyView:
    """Show the policy in force, as it was published."""
    return await policies.current_policy(rt)


@router.put(
    "/v1/policy",
    dependencies=[requires(Permission.POLICY_WRITE)],
    responses=error_responses(401, 403, 412, 422, 428),
)
async def publish_policy(
    rt: Rt, actor: Actor, replaces: IfMatch, body: PublishPolicy
) -> PolicyView:
    """Put a policy in force for every change from now on, pending approvals included.

    Send the ETag of the policy that you edited as If-Match; `*` replaces any.
    """
    return await policies.publish_policy(rt, body.text, actor=actor, replaces=replaces)


@router.get(
    "/v1/policy/versions",
    response_model=Page[PolicyVersion],
    dependencies=[requires(Permission.READ)],
    responses=error_responses(401, 403, 422),
)
async def list_policy_versions(
    rt: Rt,
    wanted: Policies,
    sort: Sort = Order.NEWEST,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[PolicyVersion]:
    """List the policies that were published, without their texts."""
    found = await policies.list_versions(rt, wanted)
    return page_of(found, _number, cursor, limit, newest_first=sort is Order.NEWEST)


@router.get(
    "/v1/policy/versions/{version}",
    dependencies=[requires(Permission.READ)],
    responses=error_responses(401, 403, 404, 422),
)
async def get_policy_version(
    rt: Rt, version: Annotated[int, Path(ge=1, le=2**31 - 1, examples=[2])]
) -> PolicyView:
    """Show a policy as it was published."""
    return await policies.get_version(rt, version)


@router.post(
    "/v1/policy/diff",
    dependencies=[requires(Permission.READ)],
    responses=error_responses(401, 403, 404, 422),
)
async def compare_policies(rt: Rt, body: ComparePolicies) -> PolicyDifference:
    """Compare two policies: versions, drafts, or the one in force."""
    return await policies.compare(rt, body.a.choice, body.b.choice)


@router.post(
    "/v1/policy/roll-back",
    dependencies=[requires(Permission.POLICY_WRITE)],
    responses=error_responses(401, 403, 404, 409, 412, 422, 428),
)
async def roll_back_policy(
    rt: Rt, actor: Actor, replaces: IfMatch, body: RollBackPolicy
) -> PolicyView:
    """Put an earlier policy in force again, as a new version.

    Send the ETag of the policy in force as If-Match; `*` replaces any.
    """
    return await policies.roll_back(rt, body.to, actor=actor, replaces=replaces)


@router.post(
    "/v1/policy/check",
    dependencies=[requires(Permission.READ)],
    responses=error_responses(401, 403, 422),
)
async def check_policy(rt: Rt, body: CheckPolicy) -> PolicyCheck:
    """Check a policy without publishing it: errors, and likely mistakes given the inventory."""
    return await policies.check_policy(rt, body.text, body.file)


@router.post(
    "/v1/policy/evaluate-step",
    dependencies=[requires(Permission.READ)],
    responses=error_responses(401, 403, 404, 422),
)
async def evaluate_step(rt: Rt, body: EvaluateStep) -> Explanation:
    """Evaluate the change that a step of a run planned, as of now."""
    return await what_if.evaluate_step(rt, body.run_id, body.step, body.policy)


@router.post(
    "/v1/policy/evaluate",
    dependencies=[requires(Permission.READ)],
    responses=error_responses(401, 403, 422),
)
async def evaluate_policy(rt: Rt, body: EvaluatePolicy) -> Explanation:
    """Evaluate a hypothetical change with the current inventory, switches and counts."""
    change = HypotheticalChange(**body.model_dump(exclude={"policy"}, exclude_unset=True))
    return await what_if.evaluate_change(rt, change, body.policy)


@router.post(
    "/v1/policy/test",
    dependencies=[requires(Permission.READ)],
    responses=error_responses(401, 403, 422),
)
async def run_policy_tests(rt: Rt, body: TestPolicy) -> PolicyTestReport:
    """Run the test cases of a policy."""
    return await what_if.run_policy_tests(rt, body.policy, body.tests)


def _number(view: PolicyVersion) -> str:
    return f"{view.version:010d}"
