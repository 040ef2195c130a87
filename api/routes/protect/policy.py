"""The policy: show and publish it, evaluate a hypothetical change, run test cases."""

from __future__ import annotations

from fastapi import APIRouter

from api.container import Rt
from api.dependencies import Actor, GuardedRoute, requires
from api.problems import error_responses
from api.protocol.etags import IfMatch
from api.schemas.policy import (
    CheckPolicy,
    EvaluatePolicy,
    EvaluateStep,
    PublishPolicy,
    TestPolicy,
)
from orchestrator.domain.access import Permission
from orchestrator.policy import policies, what_if
from orchestrator.policy.explain import Explanation
from orchestrator.policy.hypothetical_change import HypotheticalChange
from orchestrator.policy.policies import PolicyCheck, PolicyView
from orchestrator.policy.tests import PolicyTestReport

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
