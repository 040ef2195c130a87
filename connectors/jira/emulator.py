"""An emulated Jira Cloud site with one project, whose search finds new issues late."""

from __future__ import annotations

import base64
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.jira.emulator_issues import (
    OPEN_TRANSITIONS,
    PROJECT,
    TRANSITIONS,
    EmulatedIssues,
    field_errors,
    is_document,
    status_view,
    text_of,
)
from connectors.sdk.call import JSON
from connectors.sdk.emulator import Emulator

LAB_SETTINGS: dict[str, Any] = {
    "email": "tocsin@corp.example",
    "api_token": "lab-token",
    "project": PROJECT,
}

_API = "/rest/api/3"
_JQL_LABEL = re.compile(r'project = "(\w+)" AND labels = "([\w.-]+)"')
_JQL_NEWEST = re.compile(r'project = "(\w+)" ORDER BY key DESC')
_MAX_BULK = 100

Handler = Callable[[Request], Awaitable[Response]]


class JiraEmulator(Emulator):
    """A site with two old tickets, one of them closed.

    Traps: search lags; creating is not idempotent; not every status allows every transition.
    """

    name = "jira"

    @classmethod
    def settings(cls, base_url: str) -> dict[str, Any]:
        """Return the lab's account and project."""
        return {**LAB_SETTINGS, "base_url": base_url}

    def seed(self) -> None:
        """Set the initial state: two tickets that search finds."""
        self.project = EmulatedIssues()
        for summary, status in (
            ("Quarterly review of firewall rules", "To Do"),
            ("Phishing reported by the front desk", "Done"),
        ):
            key = self.project.add({"summary": summary, "labels": ["soc"]}, [])
            self.issues[key]["status"] = status
            self.issues[key]["found_from"] = 0

    @property
    def issues(self) -> dict[str, dict[str, Any]]:
        """The issues by key."""
        return self.project.by_key

    def in_force(self) -> JSON:
        """Return title, status, labels and comment texts of every ticket."""
        return {
            key: {
                "summary": issue["fields"]["summary"],
                "status": issue["status"],
                "labels": issue["fields"].get("labels", []),
                "comments": [text_of(comment["body"]) for comment in issue["comments"]],
            }
            for key, issue in self.issues.items()
        }

    def dump(self) -> JSON:
        """Return issues and counters."""
        return self.project.dump()

    def load(self, world: JSON) -> None:
        """Replace the state with what `dump` returned."""
        self.project.load(world)

    def routes(self) -> Sequence[Route]:
        """Return the endpoints that the connector uses."""
        table: list[tuple[str, str, Handler]] = [
            ("GET", "/myself", self._myself),
            ("GET", "/project/{key}", self._project),
            ("POST", "/search/jql", self._search),
            ("POST", "/issue", self._create),
            ("POST", "/issue/bulkfetch", self._bulkfetch),
            ("GET", "/issue/{key}", self._issue),
            ("GET", "/issue/{key}/comment", self._comments),
            ("POST", "/issue/{key}/comment", self._comment),
            ("POST", "/comment/list", self._comment_list),
            ("GET", "/issue/{key}/transitions", self._transitions),
            ("POST", "/issue/{key}/transitions", self._transition),
        ]
        return [
            Route(_API + path, _authenticated(handler), methods=[method])
            for method, path, handler in table
        ]

    async def _myself(self, _request: Request) -> Response:
        return JSONResponse(
            {
                "accountId": "5b10a2844c20165700ede21g",
                "displayName": "Tocsin",
                "emailAddress": LAB_SETTINGS["email"],
            }
        )

    async def _project(self, request: Request) -> Response:
        if request.path_params["key"] != PROJECT:
            return _error(404, "No project could be found with key.")
        return JSONResponse({"id": "10000", "key": PROJECT, "name": "Security Operations"})

    async def _search(self, request: Request) -> Response:
        body = await request.json()
        visible = self.project.search()
        if match := _JQL_LABEL.fullmatch(body["jql"]):
            keys = [
                key for key in visible if match[2] in self.issues[key]["fields"].get("labels", [])
            ]
        elif _JQL_NEWEST.fullmatch(body["jql"]):
            keys = sorted(visible, key=_number, reverse=True)
        else:
            return _error(
                400,
                "Unbounded JQL queries are not allowed here. "
                "Please add a search restriction to your query.",
            )
        page = [
            {"id": self.issues[key]["id"], "key": key, "fields": {}}
            for key in keys[: body.get("maxResults", 50)]
        ]
        return JSONResponse({"issues": page, "isLast": len(page) == len(keys)})

    async def _create(self, request: Request) -> Response:
        body = await request.json()
        fields = body.get("fields", {})
        if errors := field_errors(fields):
            return JSONResponse({"errorMessages": [], "errors": errors}, 400)
        key = self.project.add(fields, body.get("properties", []))
        self.record_effect(request, "open", _effect_target(fields))
        issue_id = self.issues[key]["id"]
        url = f"{request.base_url}rest/api/3/issue/{issue_id}"
        return JSONResponse({"id": issue_id, "key": key, "self": url}, 201)

    async def _bulkfetch(self, request: Request) -> Response:
        body = await request.json()
        keys = body["issueIdsOrKeys"]
        if len(keys) > _MAX_BULK:
            return _error(400, "The number of issues requested exceeds the limit.")
        names = body.get("fields", [])
        issues = [self.project.view(key, names) for key in keys if key in self.issues]
        return JSONResponse({"expand": "names,schema", "issues": issues, "issueErrors": []})

    async def _issue(self, request: Request) -> Response:
        key = request.path_params["key"]
        if key not in self.issues:
            return _no_issue()
        names = request.query_params.get("fields", "").split(",")
        return JSONResponse(self.project.view(key, names))

    async def _comments(self, request: Request) -> Response:
        issue = self.issues.get(request.path_params["key"])
        if issue is None:
            return _no_issue()
        newest_first = list(reversed(issue["comments"]))
        query = request.query_params
        start, limit = int(query["startAt"]), int(query["maxResults"])
        page = [_without_properties(comment) for comment in newest_first[start : start + limit]]
        return JSONResponse(
            {"startAt": start, "maxResults": limit, "total": len(newest_first), "comments": page}
        )

    async def _comment_list(self, request: Request) -> Response:
        ids = {str(comment_id) for comment_id in (await request.json())["ids"]}
        comments = [
            comment
            for issue in self.issues.values()
            for comment in issue["comments"]
            if comment["id"] in ids
        ]
        if request.query_params.get("expand") != "properties":
            comments = [_without_properties(comment) for comment in comments]
        return JSONResponse(
            {
                "startAt": 0,
                "maxResults": 1_048_576,
                "total": len(comments),
                "isLast": True,
                "values": comments,
            }
        )

    async def _comment(self, request: Request) -> Response:
        key, body = request.path_params["key"], await request.json()
        if key not in self.issues:
            return _no_issue()
        if not is_document(body.get("body")):
            return JSONResponse(
                {"errorMessages": [], "errors": {"comment": "Comment body is not valid!"}}, 400
            )
        comment = {
            "id": self.project.next_id(),
            "body": body["body"],
            "properties": body.get("properties", []),
        }
        self.issues[key]["comments"].append(comment)
        self.record_effect(request, "comment", key)
        return JSONResponse(_without_properties(comment), 201)

    async def _transitions(self, request: Request) -> Response:
        issue = self.issues.get(request.path_params["key"])
        if issue is None:
            return _no_issue()
        transitions = []
        for transition_id in OPEN_TRANSITIONS[issue["status"]]:
            name, to = TRANSITIONS[transition_id]
            transitions.append({"id": transition_id, "name": name, "to": status_view(to)})
        return JSONResponse({"transitions": transitions})

    async def _transition(self, request: Request) -> Response:
        key, body = request.path_params["key"], await request.json()
        issue = self.issues.get(key)
        if issue is None:
            return _no_issue()
        transition_id = body.get("transition", {}).get("id")
        if transition_id not in OPEN_TRANSITIONS[issue["status"]]:
            return _error(
                400, "It seems that you have tried to perform an illegal workflow operation."
            )
        name, issue["status"] = TRANSITIONS[transition_id]
        self.record_effect(request, name.lower(), key)
        return Response(status_code=204)


def _effect_target(fields: dict[str, Any]) -> str:
    """Return the project and Tocsin's tag, which a second ticket of the same step would share."""
    tags = [label for label in fields.get("labels", []) if label.startswith("tocsin-")]
    return " ".join([PROJECT, *tags])


def _authenticated(handler: Handler) -> Handler:
    pair = f"{LAB_SETTINGS['email']}:{LAB_SETTINGS['api_token']}".encode()
    expected = f"Basic {base64.b64encode(pair).decode()}"

    async def handle(request: Request) -> Response:
        if request.headers.get("authorization") != expected:
            return _error(401, "Client must be authenticated to access this resource.")
        return await handler(request)

    return handle


def _without_properties(comment: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in comment.items() if name != "properties"}


def _number(key: str) -> int:
    return int(key.rpartition("-")[2])


def _error(status: int, message: str) -> Response:
    return JSONResponse({"errorMessages": [message], "errors": {}}, status)


def _no_issue() -> Response:
    return _error(404, "Issue does not exist or you do not have permission to see it.")
