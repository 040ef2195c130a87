"""The policy: what may nobody do, and what must people agree with."""

from __future__ import annotations

from fastapi import APIRouter

from api.dependencies import Actor, Guarded, requires
from api.parts import Rt
from api.problems import documented
from api.schemas.configuration import PublishPolicy
from api.schemas.shown import POLICY, shown
from orchestrator.configuration import policies
from orchestrator.configuration.policies import PolicyView
from orchestrator.domain.access import Permission

router = APIRouter(tags=["policy"], route_class=Guarded)


@router.get(
    "/v1/policy", response_model=PolicyView, dependencies=[requires(Permission.READ)], responses=shown(POLICY) | documented(401, 403, 404)
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
