"""What routes need: the runtime, the Temporal client where there is one, and who is asking."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from temporalio.client import Client

from orchestrator.audit import trail
from orchestrator.configuration.keys import authenticate_key
from orchestrator.domain.access import Permission, Principal
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Forbidden
from orchestrator.intake.authentication import NotAuthentic, Reason
from orchestrator.runtime import Runtime

_bearer = HTTPBearer(auto_error=False, description="An API key: `tocsin key create`")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


@dataclass
class Held:
    """What the application holds; `client` is None while Temporal is away."""

    rt: Runtime
    client: Callable[[], Client | None]


def held(request: Request) -> Held:
    """The application's runtime and client."""
    found: Held = request.app.state.held
    return found


TheHeld = Annotated[Held, Depends(held)]


def requires(permission: Permission) -> Any:
    """The authenticated person, who has the permission. A refusal is audited."""

    async def check(request: Request, holds: TheHeld, credentials: Credentials) -> Principal:
        if credentials is None:
            raise NotAuthentic(Reason.HEADER_MISSING)
        try:
            principal = await authenticate_key(holds.rt, credentials.credentials)
        except Forbidden:
            await _refused(holds.rt, request, "unknown", "the key is not valid")
            raise NotAuthentic(Reason.MISMATCH) from None
        if not principal.may(permission):
            await _refused(holds.rt, request, f"person:{principal.person}", f"lacks {permission.value}")
            raise Forbidden(f"this needs the permission {permission.value}; your key has {', '.join(sorted(principal.permissions))}")
        return principal

    check.permission = permission  # type: ignore[attr-defined]
    return Depends(check)


def actor(principal: Principal) -> str:
    """How a person stands in the trail."""
    return f"person:{principal.person}"


async def _refused(rt: Runtime, request: Request, who: str, why: str) -> None:
    told = {"method": request.method, "path": request.url.path[:200], "why": why}
    async with rt.store.write() as session:
        await trail.record(session, EventKind.ACCESS_REFUSED, actor=who, subject=request.url.path[:200], data=told, now=rt.clock())
