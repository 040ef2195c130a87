"""The IOC endpoints of the emulated Falcon tenant, and the envelope of its answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

_SEARCH, _ENTITIES = "/iocs/combined/indicator/v1", "/iocs/entities/indicators/v1"
_TERM = re.compile(r"(\w+):\[?'([^']*)'\]?")


class Authorize(Protocol):
    """Returns the answer that refuses a request, or None for a request that is allowed."""

    def __call__(self, request: Request, *, writes: bool) -> Response | None: ...


class EmulatedIndicators:
    """Custom IOCs by id; one per type and value."""

    def __init__(
        self, authorize: Authorize, record_effect: Callable[[Request, str, str], None]
    ) -> None:
        self.entries: dict[str, dict[str, Any]] = {}
        self._authorize = authorize
        self._record_effect = record_effect
        self._created = 0

    def dump(self) -> dict[str, Any]:
        """Return the state as JSON."""
        return {"entries": self.entries, "created": self._created}

    def load(self, state: dict[str, Any]) -> None:
        """Replace the state with what `dump` returned."""
        self.entries, self._created = state["entries"], state["created"]

    def routes(self) -> Sequence[Route]:
        """Return the endpoints: search, create, update and delete."""
        return [
            Route(_SEARCH, self.search),
            Route(_ENTITIES, self.create, methods=["POST"]),
            Route(_ENTITIES, self.update, methods=["PATCH"]),
            Route(_ENTITIES, self.delete, methods=["DELETE"]),
        ]

    async def search(self, request: Request) -> Response:
        """Answer FQL over type, value, source and tags, one page with the token of the next."""
        if refusal := self._authorize(request, writes=False):
            return refusal
        terms = fql_terms(request)
        matches = [
            entry
            for entry in self.entries.values()
            if all(_has(entry, name, value) for name, value in terms)
        ]
        query = request.query_params
        first, limit = int(query.get("after") or 0), int(query.get("limit") or 100)
        after = str(first + limit) if first + limit < len(matches) else ""
        return answer(matches[first : first + limit], total=len(matches), after=after)

    async def create(self, request: Request) -> Response:
        """Create indicators; a second one for a type and value is an error."""
        if refusal := self._authorize(request, writes=True):
            return refusal
        created = []
        for fields in (await request.json())["indicators"]:
            if self._exists(fields["type"], fields["value"]):
                return _duplicate(fields["type"], fields["value"])
            self._created += 1
            entry = {
                "id": f"{self._created:064x}",
                "applied_globally": False,
                "tags": [],
                "expired": False,
                "deleted": False,
                **fields,
            }
            self.entries[entry["id"]] = entry
            created.append(entry)
            self._record_effect(request, "create indicator", fields["value"])
        return answer(created, status=201)

    async def update(self, request: Request) -> Response:
        """Change fields by id; an unknown id is an error under HTTP 200."""
        if refusal := self._authorize(request, writes=True):
            return refusal
        for fields in (await request.json())["indicators"]:
            entry = self.entries.get(fields["id"])
            if entry is None:
                return answer(errors=[(404, f"indicator {fields['id']} not found")])
            entry.update(fields)
            self._record_effect(request, "update indicator", entry["value"])
        return answer()

    async def delete(self, request: Request) -> Response:
        """Delete by ids; an unknown id is an error under HTTP 200."""
        if refusal := self._authorize(request, writes=True):
            return refusal
        for indicator_id in request.query_params.getlist("ids"):
            entry = self.entries.pop(indicator_id, None)
            if entry is None:
                return answer(errors=[(404, f"indicator {indicator_id} not found")])
            self._record_effect(request, "delete indicator", entry["value"])
        return answer()

    def _exists(self, kind: str, value: str) -> bool:
        return any(
            (entry["type"], entry["value"]) == (kind, value) for entry in self.entries.values()
        )


def fql_terms(request: Request) -> list[tuple[str, str]]:
    """Return the `name:'value'` terms of the request's FQL filter."""
    return _TERM.findall(request.query_params.get("filter", ""))


def answer(
    resources: Sequence[Any] = (),
    *,
    errors: Sequence[tuple[int, str]] = (),
    status: int = 200,
    headers: dict[str, str] | None = None,
    total: int | None = None,
    after: str = "",
) -> Response:
    """Return Falcon's envelope: `meta`, `resources` and `errors`, whatever the HTTP status."""
    paging = {
        "offset": 0,
        "limit": 100,
        "total": len(resources) if total is None else total,
        "after": after,
    }
    body = {
        "meta": {"query_time": 0.01, "trace_id": "lab", "pagination": paging},
        "resources": list(resources),
        "errors": [{"code": code, "message": text} for code, text in errors],
    }
    return JSONResponse(body, status, headers)


def _duplicate(kind: str, value: str) -> Response:
    text = f"Duplicate type: '{kind}' and value: '{value}' combination"
    return answer(
        [{"message_type": "error", "message": text, "row": 1}],
        errors=[(400, "duplicate indicator")],
        status=400,
    )


def _has(entry: dict[str, Any], name: str, value: str) -> bool:
    field = entry.get(name)
    return value in field if isinstance(field, list) else field == value
