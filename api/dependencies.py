"""Authentication and permissions of a route, checked before any of the request's body is read."""

from __future__ import annotations

from typing import Annotated, Any, cast

from fastapi import Depends, HTTPException, Request, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.responses import Response

from api.container import container_of
from api.limits.rates import address_of, spend
from api.protocol.idempotency import answer_once
from api.protocol.route import Handler, StrictRoute
from orchestrator.access.keys import authenticate_key
from orchestrator.crypto.tokens import token_id
from orchestrator.domain.access import Permission, Principal
from orchestrator.domain.errors import Forbidden
from orchestrator.domain.untrusted.nesting import has_more_values
from orchestrator.intake.body import BodyRefused, parse_json

_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="ApiKey",
    bearerFormat="tocsin_<16 hex>_<64 hex>",
    description="An API key of a person or a service, received with `tocsin key enrol`.",
)
_Credentials = Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]
_MAX_TOKEN = 200
MOST_VALUES = 20_000
"""Values in the body of a request. An administrator imports more."""


class Requirement:
    """The permission that a route requires."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    def __call__(self, request: Request, _: _Credentials) -> Principal:
        """Return the principal, whom the guarded route has authenticated already."""
        return cast("Principal", request.state.principal)

    async def admit(self, request: Request) -> None:
        """Authenticate the principal.

        Raise 401 without a valid key, 403 where the permission is lacking.
        """
        token = _token(request)
        if token is None:
            raise await _unauthenticated(request, "no key", None)
        try:
            address = request.client.host if request.client else None
            principal = await authenticate_key(container_of(request).rt, token, address)
        except Forbidden:
            raise await _unauthenticated(request, "key not valid", token_id(token)) from None
        spend(request.scope, container_of(request).rates.key, principal.key_id)
        if not principal.has_permission(self.permission):
            await container_of(request).access_audit.record_forbidden(
                request, principal, self.permission
            )
            raise HTTPException(403, f"{principal.person} lacks permission {self.permission}")
        request.state.principal = principal


def requires(permission: Permission) -> Any:
    """Return the entry of a route's `dependencies=[...]` that requires the permission."""
    return Depends(Requirement(permission))


def requirement_of(route: APIRoute) -> Requirement | None:
    """Return what the route requires; None unless it declares exactly one permission."""
    found = [
        each.dependency for each in route.dependencies if isinstance(each.dependency, Requirement)
    ]
    return found[0] if len(found) == 1 else None


class GuardedRoute(StrictRoute):
    """A route that must declare its permission, and reads a body only from those who hold it."""

    def get_route_handler(self) -> Handler:
        """Return a handler that checks the permission, then calls the route.

        Raise TypeError without one permission.
        """
        required = requirement_of(self)
        if required is None:
            message = f"{self.path}: declare one permission: dependencies=[requires(Permission.X)]"
            raise TypeError(message)
        handler = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            await required.admit(request)
            strict = _StrictRequest(request.scope, request.receive)
            strict.is_bounded = required.permission is not Permission.ADMIN
            return await answer_once(strict, _principal(request).person, handler)

        return guarded


class _StrictRequest(Request):
    """A request whose JSON body is parsed as strictly as an alert's."""

    is_bounded = True
    """Whether it has at most MOST_VALUES, so that handling it delays no alert."""

    async def json(self) -> Any:
        body = await self.body()
        if self.is_bounded and has_more_values(body, MOST_VALUES):
            raise HTTPException(413, f"the body has more than {MOST_VALUES} values; send fewer")
        try:
            return parse_json(body, container_of(self).rt.settings.max_body_bytes)
        except BodyRefused as refused:  # FastAPI would answer a 400 without detail
            raise HTTPException(refused.status, refused.reason) from refused


def _principal(request: Request) -> Principal:
    return cast("Principal", request.state.principal)


def _actor(request: Request) -> str:
    return f"person:{_principal(request).person}"


CurrentPrincipal = Annotated[Principal, Depends(_principal)]
"""The authenticated principal, as a parameter of a guarded route."""
Actor = Annotated[str, Depends(_actor)]
"""The audit trail's name for the principal, as a parameter of a guarded route."""


def _token(request: Request) -> str | None:
    """Return the bearer token.

    Two Authorization headers count as none, as two parsers could pick different ones.
    """
    given = request.headers.getlist("authorization")
    scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    token = token.strip()
    return token if scheme.lower() == "bearer" and 0 < len(token) <= _MAX_TOKEN else None


async def _unauthenticated(request: Request, reason: str, key_id: str | None) -> HTTPException:
    """Record a refusal and return its answer, which is the same for every wrong key."""
    spend(request.scope, container_of(request).rates.failures, address_of(request.scope))
    await container_of(request).access_audit.record_unauthenticated(request, reason, key_id)
    return HTTPException(
        401,
        "no valid API key; send one as Authorization: Bearer ...",
        {"WWW-Authenticate": "Bearer"},
    )
