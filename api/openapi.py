"""The OpenAPI document: every route, its errors as problems, and an operation id that stays."""

from __future__ import annotations

import asyncio
import json
import re
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from api.problems import Problem, error_responses, phrase
from api.protocol.content import JSON
from api.protocol.idempotency import PARAMETER as IDEMPOTENCY_KEY


def operation_id(route: APIRoute) -> str:
    """Return the name of the route's function, which generated clients call their method."""
    return route.name


def install_document(app: FastAPI) -> None:
    """Make the app describe itself by `openapi_document`, computed once, and serve that.

    It takes most of a second, in which alerts are answered all the same: hence a thread.
    """
    building = asyncio.Lock()
    served: list[bytes] = []

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = openapi_document(app)
        return app.openapi_schema

    def render() -> bytes:
        return json.dumps(openapi(), ensure_ascii=False, separators=(",", ":")).encode()

    async def document(_: Request) -> Response:
        async with building:
            if not served:
                served.append(await asyncio.to_thread(render))
        return Response(served[0], media_type=JSON)

    app.openapi = openapi  # type: ignore[method-assign]
    app.add_route("/openapi.json", document, include_in_schema=False)


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """Return the app's document, without the error bodies of FastAPI that it never sends."""
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    _add_content_type_errors(document)
    _add_idempotency(document)
    _add_response_headers(document)
    _share_error_responses(document)
    return _name_pages(document)


_PAGE = re.compile(r"\bPage_(\w+?)(?:View)?_(?=\")")
_PAGE_TITLE = re.compile(r"Page\[(\w+?)(?:View)?\]")


def _name_pages(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with `RunPage` for `Page_RunView_`, as generated clients call a class."""
    text = _PAGE_TITLE.sub(r"\1Page", _PAGE.sub(r"\1Page", json.dumps(document)))
    named: dict[str, Any] = json.loads(text)
    return named


def _add_content_type_errors(document: dict[str, Any]) -> None:
    """Add the 415 of every operation with an API key that takes a JSON body."""
    for item in document["paths"].values():
        for operation in item.values():
            body = operation.get("requestBody", {}).get("content", {})
            if JSON in body and operation.get("security") != []:
                operation["responses"].setdefault("415", error_responses(415)[415])


def _add_idempotency(document: dict[str, Any]) -> None:
    """Add the header Idempotency-Key to every POST with an API key, and its errors."""
    for item in document["paths"].values():
        operation = item.get("post", {})
        if not operation.get("security"):
            continue
        operation.setdefault("parameters", []).append(IDEMPOTENCY_KEY)
        for status in (409, 422):
            operation["responses"].setdefault(str(status), error_responses(status)[status])


def _add_response_headers(document: dict[str, Any]) -> None:
    """Add the Location of what a request created."""
    location = {"description": "What was created.", "schema": {"type": "string"}}
    for item in document["paths"].values():
        for operation in item.values():
            if "201" in operation["responses"]:
                operation["responses"]["201"]["headers"] = {"Location": location}


def _share_error_responses(document: dict[str, Any]) -> None:
    """Replace the responses of errors, equal in most operations, by references to one of each."""
    shared = document["components"].setdefault("responses", {})
    for item in document["paths"].values():
        for operation in item.values():
            responses = operation["responses"]
            for status in [status for status in responses if int(status) >= HTTPStatus.BAD_REQUEST]:
                name = phrase(int(status)).replace(" ", "")
                if shared.setdefault(name, responses[status]) == responses[status]:
                    responses[status] = {"$ref": f"#/components/responses/{name}"}


def document_text(app: FastAPI) -> str:
    """Return the document as the text of `docs/openapi.json`."""
    return json.dumps(app.openapi(), indent=2, ensure_ascii=False) + "\n"
