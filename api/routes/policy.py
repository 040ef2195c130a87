"""The policy: what may nobody do, and what must people agree with."""

from __future__ import annotations

from fastapi import APIRouter

from api.container import Rt
from api.dependencies import Actor, Guarded, requires
from api.problems import documented
from api.schemas.configuration import PublishPolicy
from api.schemas.examples import POLICY, shown
from api.schemas.policy import EXPLANATION, EvaluatePolicy, TestedPolicy, TestPolicy
from orchestrator.domain.access import Permission
from orchestrator.policy import policies, what_if
from orchestrator.policy.explain import Explanation
from orchestrator.policy.hypothetical import Imagined
from orchestrator.policy.policies import PolicyView

router = APIRouter(tags=["policy"], route_class=Guarded)


@router.get(
    "/v1/policy",
    response_model=PolicyView,
    dependencies=[requires(Permission.READ)],
    responses=shown(POLICY) | documented(401, 403, 404),
)
async def show_policy(rt: Rt) -> object:
    """The policy in force, as it was published."""
    return await policies.current_policy(rt)


@router.put(
    "/v1/policy",
    response_model=PolicyView,
    dependencies=[requires(Permission.POLICY_WRITE)],
    responses=shown(POLICY) | documented(401, 403, 422),
)
async def publish_policy(rt: Rt, actor: Actor, body: PublishPolicy) -> object:
    """Put a policy in force. Every change from now on is judged by it, also those that wait for an approval."""
    return await policies.publish_policy(rt, body.text, actor=actor)


@router.post(
    "/v1/policy/evaluate",
    response_model=Explanation,
    dependencies=[requires(Permission.READ)],
    responses=shown(EXPLANATION) | documented(401, 403, 422),
)
async def evaluate_policy(rt: Rt, body: EvaluatePolicy) -> object:
    """What would be said of a change, and why, with the inventory, switches and counts of now. Nothing is done."""
    return await what_if.evaluate(
        rt, Imagined(**body.model_dump(exclude={"policy"}, exclude_unset=True)), body.policy
    )


@router.post(
    "/v1/policy/test",
    response_model=TestedPolicy,
    dependencies=[requires(Permission.READ)],
    responses=documented(401, 403, 422),
)
async def try_policy(rt: Rt, body: TestPolicy) -> object:
    """Judge the cases beside a policy: what each should say, what it says, and which rule says so."""
    found = await what_if.try_policy(rt, body.policy, body.tests)
    return TestedPolicy(
        failures=sum(result.failure is not None for result in found), cases=list(found)
    )
