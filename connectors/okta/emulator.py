"""An emulated Okta org: a few users, their sessions, and the System Log."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.sdk.call import JSON
from connectors.sdk.emulator import Emulator

LAB_SETTINGS: dict[str, Any] = {
    "api_token": "00lab-token",
    "windows_domains": {"CORP": "corp.example"},
}

_USERS = (  # login, first name, last name, status, groups, open sessions
    ("j.doe@corp.example", "Jane", "Doe", "ACTIVE", ("Everyone", "Finance"), 2),
    ("m.ross@corp.example", "Mike", "Ross", "ACTIVE", ("Everyone", "Legal"), 1),
    ("s.lee@corp.example", "Sam", "Lee", "LOCKED_OUT", ("Everyone", "Sales"), 0),
    ("k.gone@corp.example", "Kim", "Gone", "DEPROVISIONED", (), 0),
    ("x.held@corp.example", "Xavier", "Held", "SUSPENDED", ("Everyone",), 0),
    ("a.admin@corp.example", "Ada", "Admin", "ACTIVE", ("Everyone", "Domain Admins"), 3),
    ("svc-tocsin@corp.example", "Tocsin", "Service", "ACTIVE", ("Everyone",), 0),
)
_LAST_LOGIN = "2026-01-05T08:30:00.000Z"
_FILTER = re.compile(r'eventType eq "([\w.]+)" and target\.id eq "(\w+)"')
_MOVES = {"suspend": ("ACTIVE", "SUSPENDED"), "unsuspend": ("SUSPENDED", "ACTIVE")}

Handler = Callable[[Request], Awaitable[Response]]


class OktaEmulator(Emulator):
    """An org with seven users.

    Traps: suspending a suspended user is an error; a login may be short; an exhausted rate limit
    answers with a reset header.
    """

    name = "okta"

    @classmethod
    def settings(cls, base_url: str) -> dict[str, Any]:
        """Return the lab's token."""
        return {**LAB_SETTINGS, "base_url": base_url}

    def seed(self) -> None:
        """Set the initial state: the users, and an empty System Log."""
        self.remaining: int | None = None  # requests until the rate limit; None: no limit
        self.log: list[dict[str, Any]] = []
        self.users: dict[str, dict[str, Any]] = {}
        for number, (login, first, last, status, groups, sessions) in enumerate(_USERS, 1):
            user_id = f"00u{number:017d}"
            name = {"login": login, "first": first, "last": last}
            self.users[user_id] = {
                "id": user_id,
                **name,
                "status": status,
                "groups": list(groups),
                "sessions": sessions,
            }

    def in_force(self) -> JSON:
        """Return status and open sessions of each user, by login."""
        return {
            user["login"]: {"status": user["status"], "sessions": user["sessions"]}
            for user in self.users.values()
        }

    def dump(self) -> JSON:
        """Return users, System Log and the rest of the rate limit."""
        users = {user_id: dict(user) for user_id, user in self.users.items()}
        return {"users": users, "log": list(self.log), "remaining": self.remaining}

    def load(self, world: JSON) -> None:
        """Replace the state with what `dump` returned."""
        self.users = {user_id: dict(user) for user_id, user in world["users"].items()}
        self.log, self.remaining = list(world["log"]), world["remaining"]

    def routes(self) -> Sequence[Route]:
        """Return the endpoints that the connector uses."""
        table: list[tuple[str, str, Handler]] = [
            ("GET", "/users/{user}", self._user),
            ("GET", "/users/{user}/groups", self._groups),
            ("POST", "/users/{user}/lifecycle/{verb}", self._move),
            ("DELETE", "/users/{user}/sessions", self._end_sessions),
            ("GET", "/logs", self._logs),
        ]
        return [
            Route(f"/api/v1{path}", self._limited(handler), methods=[method])
            for method, path, handler in table
        ]

    async def _user(self, request: Request) -> Response:
        user = self._find(request.path_params["user"])
        return (
            _not_found(request.path_params["user"]) if user is None else JSONResponse(_shown(user))
        )

    async def _groups(self, request: Request) -> Response:
        user = self._find(request.path_params["user"])
        if user is None:
            return _not_found(request.path_params["user"])
        return JSONResponse(
            [
                {"id": f"00g{number:017d}", "type": "OKTA_GROUP", "profile": {"name": name}}
                for number, name in enumerate(user["groups"])
            ]
        )

    async def _move(self, request: Request) -> Response:
        user, verb = self._find(request.path_params["user"]), request.path_params["verb"]
        if user is None or verb not in _MOVES:
            return _not_found(request.path_params["user"])
        wanted, after = _MOVES[verb]
        if user["status"] != wanted:
            state = "active" if verb == "suspend" else "suspended"
            cause = f"Cannot {verb} a user that is not {state}"
            return _error(400, "E0000001", f"Api validation failed: {verb}User", cause)
        user["status"] = after
        self._log_event(request, f"user.lifecycle.{verb}", user)
        self.record_effect(request, verb, user["login"])
        return JSONResponse({})

    async def _end_sessions(self, request: Request) -> Response:
        user = self._find(request.path_params["user"])
        if user is None:
            return _not_found(request.path_params["user"])
        user["sessions"] = 0
        self._log_event(request, "user.session.clear", user)
        self.record_effect(request, "end_sessions", user["login"])
        return Response(status_code=204)

    async def _logs(self, request: Request) -> Response:
        query = request.query_params
        match = _FILTER.fullmatch(query.get("filter", ""))
        if "filter" in query and match is None:
            return _error(400, "E0000031", "Invalid search criteria.")
        kind, target = match.groups() if match else (None, None)
        found = [
            event
            for event in self.log
            if kind is None or (event["eventType"] == kind and event["target"][0]["id"] == target)
        ]
        if query.get("sortOrder") == "DESCENDING":
            found.reverse()
        return JSONResponse(found[: int(query.get("limit", "100"))])

    def _find(self, name: str) -> dict[str, Any] | None:
        """Return a user by id, by login, or by the login without its domain."""
        if name == "me":
            return self._find("svc-tocsin")
        by_login = {user["login"]: user for user in self.users.values()}
        short = {login.partition("@")[0]: user for login, user in by_login.items()}
        return self.users.get(name) or by_login.get(name.lower()) or short.get(name.lower())

    def _log_event(self, request: Request, kind: str, user: dict[str, Any]) -> None:
        self.log.append(
            {
                "eventType": kind,
                "published": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
                "outcome": {"result": "SUCCESS"},
                "actor": {"type": "User", "alternateId": "svc-tocsin@corp.example"},
                "client": {"userAgent": {"rawUserAgent": request.headers.get("user-agent", "")}},
                "target": [{"id": user["id"], "type": "User", "alternateId": user["login"]}],
            }
        )

    def _limited(self, handler: Handler) -> Handler:
        async def handle(request: Request) -> Response:
            if request.headers.get("authorization") != f"SSWS {LAB_SETTINGS['api_token']}":
                return _error(401, "E0000011", "Invalid token provided")
            if self.remaining is not None:
                if self.remaining <= 0:
                    return _rate_limited()
                self.remaining -= 1
            return await handler(request)

        return handle


def _shown(user: dict[str, Any]) -> dict[str, Any]:
    profile = {
        "login": user["login"],
        "email": user["login"],
        "firstName": user["first"],
        "lastName": user["last"],
    }
    return {
        "id": user["id"],
        "status": user["status"],
        "lastLogin": _LAST_LOGIN,
        "profile": profile,
    }


def _rate_limited() -> Response:
    reply = _error(429, "E0000047", "API call exceeded rate limit due to too many requests.")
    reply.headers.update(
        {
            "X-Rate-Limit-Limit": "600",
            "X-Rate-Limit-Remaining": "0",
            "X-Rate-Limit-Reset": str(int(time.time()) + 40),
        }
    )
    return reply


def _not_found(name: str) -> Response:
    return _error(404, "E0000007", f"Not found: Resource not found: {name} (User)")


def _error(status: int, code: str, summary: str, *causes: str) -> Response:
    body = {
        "errorCode": code,
        "errorSummary": summary,
        "errorLink": code,
        "errorId": "oaeLab",
        "errorCauses": [{"errorSummary": cause} for cause in causes],
    }
    return JSONResponse(body, status)
