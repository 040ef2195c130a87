"""Who asks, and may they? Settled before anything of the request's body is read."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, cast

from fastapi import Depends, HTTPException, Request, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.responses import Response

from api.container import parts
from orchestrator.access.keys import authenticate_key
from orchestrator.crypto.tokens import token_id
from orchestrator.domain.access import Permission, Principal
from orchestrator.domain.errors import Forbidden
from orchestrator.intake.body import BodyRefused, parse_json

_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="ApiKey",
    bearerFormat="tocsin_<16 hex>_<64 hex>",
    description="An API key, made with `tocsin key create`.",
)
_Credentials = Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]
_LONGEST_TOKEN = 200

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class Requirement:
    """What a route demands of who asks."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    def __call__(self, request: Request, _: _Credentials) -> Principal:
        """The principal, whom the route's guard has found already."""
        return cast("Principal", request.state.principal)

    async def admit(self, request: Request) -> None:
        """Finds the principal. Raises 401 for nobody that we know, 403 for somebody who may not."""
        token = _token(request)
        if token is None:
            raise await _unknown(request, "no key", None)
        try:
            principal = await authenticate_key(parts(request).rt, token)
        except Forbidden:
            raise await _unknown(request, "key not valid", token_id(token)) from None
        if not principal.may(self.permission):
            await parts(request).refusals.forbidden(request, principal, self.permission)
            raise HTTPException(
                403, f"{principal.person} may not; it takes the permission {self.permission}"
            )
        request.state.principal = principal


def requires(permission: Permission) -> Any:
    """For `dependencies=[...]` of a route: only who holds the permission comes through."""
    return Depends(Requirement(permission))


def requirement(route: APIRoute) -> Requirement | None:
    """What a route demands; None where nothing is declared."""
    found = [
        each.dependency for each in route.dependencies if isinstance(each.dependency, Requirement)
    ]
    return found[0] if len(found) == 1 else None


class Guarded(APIRoute):
    """A route that cannot be made without saying its permission, and that reads a body only of those who hold it."""

    def get_route_handler(self) -> Handler:
        """The guard, then the route."""
        demanded = requirement(self)
        if demanded is None:
            message = f"{self.path}: declare one permission: dependencies=[requires(Permission.X)]"
            raise TypeError(message)
        answer = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            await demanded.admit(request)
            return await answer(_Strict(request.scope, request.receive))

        return guarded


class _Strict(Request):
    """A request whose JSON is read as that of an alert: bounded in depth, no key twice, nothing that a database can't store."""

    async def json(self) -> Any:
        try:
            return parse_json(await self.body(), parts(self).rt.settings.max_body_bytes)
        except BodyRefused as refused:  # the framework would make a 400 without detail of it
            raise HTTPException(refused.status, refused.reason) from refused


def _principal(request: Request) -> Principal:
    return cast("Principal", request.state.principal)


def _actor(request: Request) -> str:
    return f"person:{_principal(request).person}"


Who = Annotated[Principal, Depends(_principal)]
"""The principal, in a guarded route."""
Actor = Annotated[str, Depends(_actor)]
"""How the audit trail names who asks."""


def _token(request: Request) -> str | None:
    """A second Authorization header would be read differently by two readers, so there may be only one."""
    given = request.headers.getlist("authorization")
    scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    token = token.strip()
    return token if scheme.lower() == "bearer" and 0 < len(token) <= _LONGEST_TOKEN else None


async def _unknown(request: Request, reason: str, key_id: str | None) -> HTTPException:
    await parts(request).refusals.unknown(request, reason, key_id)
    return HTTPException(
        401,
        "give an API key that is valid: Authorization: Bearer ...",
        {"WWW-Authenticate": "Bearer"},
    )
