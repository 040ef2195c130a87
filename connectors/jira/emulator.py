"""How Jira Cloud behaves, in memory: one site, one project, and a search that does not know new issues for a while."""

from __future__ import annotations

import base64
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.sdk.emulator import JSON, Emulator

LAB_SETTINGS: dict[str, Any] = {
    "email": "tocsin@corp.example",
    "api_token": "lab-token",
    "project": "SOC",
}
SEARCH_LAG = 20  # searches that are made before a new issue is found by one

_API = "/rest/api/3"
_JQL_LABEL = re.compile(r'project = "(\w+)" AND labels = "([\w.-]+)"')
_JQL_NEWEST = re.compile(r'project = "(\w+)" ORDER BY key DESC')
_STATUSES = {"To Do": "new", "In Progress": "indeterminate", "Done": "done"}
_TRANSITIONS = {
    "11": ("Start work", "In Progress"),
    "31": ("Resolve", "Done"),
    "41": ("Reopen", "To Do"),
}
_OPENING = {"To Do": ("11", "31"), "In Progress": ("31",), "Done": ("41",)}
_ISSUE_TYPES = {"Task", "Incident", "Bug"}
_PRIORITIES = {"Lowest", "Low", "Medium", "High", "Highest"}
_LONGEST_SUMMARY = 255
_MOST_AT_ONCE = 100

Handler = Callable[[Request], Awaitable[Response]]


class JiraEmulator(Emulator):
    """Traps: search lags by `SEARCH_LAG` searches; creating is not idempotent; a transition can only be made from its status."""

    name = "jira"

    @classmethod
    def settings(cls, base_url: str) -> dict[str, Any]:
        """Signs in with the lab's token."""
        return {**LAB_SETTINGS, "base_url": base_url}

    def seed(self) -> None:
        """Two tickets that have been there for long, one of them closed."""
        self.issues: dict[str, dict[str, Any]] = {}
        self.searches = 0
        self.last_number = 0
        self.last_id = 10_000
        for summary, status in (
            ("Quarterly review of firewall rules", "To Do"),
            ("Phishing reported by the front desk", "Done"),
        ):
            key = self.add({"summary": summary, "labels": ["soc"]}, [])
            self.issues[key]["status"] = status
            self.issues[key]["found_from"] = 0

    def in_force(self) -> JSON:
        """Every ticket: title, status, labels, and the text of its comments."""
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
        """Issues and counters."""
        copied = {
            key: {**issue, "comments": list(issue["comments"])}
            for key, issue in self.issues.items()
        }
        return {
            "issues": copied,
            "searches": self.searches,
            "last_number": self.last_number,
            "last_id": self.last_id,
        }

    def load(self, world: JSON) -> None:
        """Puts issues and counters back."""
        self.issues = {
            key: {**issue, "comments": list(issue["comments"])}
            for key, issue in world["issues"].items()
        }
        self.searches, self.last_number, self.last_id = (
            world["searches"],
            world["last_number"],
            world["last_id"],
        )

    def routes(self) -> Sequence[Route]:
        """The endpoints that the connector uses."""
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
            Route(_API + path, _signed_in(handler), methods=[method])
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
        if request.path_params["key"] != LAB_SETTINGS["project"]:
            return _refuse(404, "No project could be found with key.")
        return JSONResponse({"id": "10000", "key": "SOC", "name": "Security Operations"})

    async def _search(self, request: Request) -> Response:
        wish = await request.json()
        self.searches += 1
        visible = [
            key for key, issue in self.issues.items() if issue["found_from"] <= self.searches
        ]
        if match := _JQL_LABEL.fullmatch(wish["jql"]):
            found = [
                key for key in visible if match[2] in self.issues[key]["fields"].get("labels", [])
            ]
        elif _JQL_NEWEST.fullmatch(wish["jql"]):
            found = sorted(visible, key=_number, reverse=True)
        else:
            return _refuse(
                400,
                "Unbounded JQL queries are not allowed here. Please add a search restriction to your query.",
            )
        page = [
            {"id": self.issues[key]["id"], "key": key, "fields": {}}
            for key in found[: wish.get("maxResults", 50)]
        ]
        return JSONResponse({"issues": page, "isLast": len(page) == len(found)})

    async def _create(self, request: Request) -> Response:
        wish = await request.json()
        fields = wish.get("fields", {})
        if errors := _problems(fields):
            return JSONResponse({"errorMessages": [], "errors": errors}, 400)
        key = self.add(fields, wish.get("properties", []))
        self.record_effect(request, "open", _effect_target(fields))
        issue = self.issues[key]
        return JSONResponse(
            {
                "id": issue["id"],
                "key": key,
                "self": f"{request.base_url}rest/api/3/issue/{issue['id']}",
            },
            201,
        )

    async def _bulkfetch(self, request: Request) -> Response:
        wish = await request.json()
        keys = wish["issueIdsOrKeys"]
        if len(keys) > _MOST_AT_ONCE:
            return _refuse(400, "The number of issues requested exceeds the limit.")
        issues = [self._shown(key, wish.get("fields", [])) for key in keys if key in self.issues]
        return JSONResponse({"expand": "names,schema", "issues": issues, "issueErrors": []})

    async def _issue(self, request: Request) -> Response:
        key = request.path_params["key"]
        if key not in self.issues:
            return _no_issue()
        return JSONResponse(self._shown(key, request.query_params.get("fields", "").split(",")))

    async def _comments(self, request: Request) -> Response:
        issue = self.issues.get(request.path_params["key"])
        if issue is None:
            return _no_issue()
        newest_first = list(reversed(issue["comments"]))
        start, most = int(request.query_params["startAt"]), int(request.query_params["maxResults"])
        page = [_without_properties(comment) for comment in newest_first[start : start + most]]
        return JSONResponse(
            {"startAt": start, "maxResults": most, "total": len(newest_first), "comments": page}
        )

    async def _comment_list(self, request: Request) -> Response:
        ids = {str(identity) for identity in (await request.json())["ids"]}
        found = [
            comment
            for issue in self.issues.values()
            for comment in issue["comments"]
            if comment["id"] in ids
        ]
        if request.query_params.get("expand") != "properties":
            found = [_without_properties(comment) for comment in found]
        return JSONResponse(
            {
                "startAt": 0,
                "maxResults": 1_048_576,
                "total": len(found),
                "isLast": True,
                "values": found,
            }
        )

    async def _comment(self, request: Request) -> Response:
        key, wish = request.path_params["key"], await request.json()
        if key not in self.issues:
            return _no_issue()
        if not is_document(wish.get("body")):
            return JSONResponse(
                {"errorMessages": [], "errors": {"comment": "Comment body is not valid!"}}, 400
            )
        comment = {
            "id": self._next_id(),
            "body": wish["body"],
            "properties": wish.get("properties", []),
        }
        self.issues[key]["comments"].append(comment)
        self.record_effect(request, "comment", key)
        return JSONResponse(_without_properties(comment), 201)

    async def _transitions(self, request: Request) -> Response:
        issue = self.issues.get(request.path_params["key"])
        if issue is None:
            return _no_issue()
        shown = [(identity, *_TRANSITIONS[identity]) for identity in _OPENING[issue["status"]]]
        return JSONResponse(
            {
                "transitions": [
                    {"id": identity, "name": name, "to": _status(to)}
                    for identity, name, to in shown
                ]
            }
        )

    async def _transition(self, request: Request) -> Response:
        key, wish = request.path_params["key"], await request.json()
        issue = self.issues.get(key)
        if issue is None:
            return _no_issue()
        identity = wish.get("transition", {}).get("id")
        if identity not in _OPENING[issue["status"]]:
            return _refuse(
                400, "It seems that you have tried to perform an illegal workflow operation."
            )
        name, issue["status"] = _TRANSITIONS[identity]
        self.record_effect(request, name.lower(), key)
        return Response(status_code=204)

    def add(self, fields: dict[str, Any], properties: list[Any]) -> str:
        """Put a ticket into the project, unknown to search for a while; its key."""
        self.last_number += 1
        key = f"SOC-{self.last_number}"
        found_from = self.searches + SEARCH_LAG
        self.issues[key] = {
            "id": self._next_id(), "fields": fields, "status": "To Do", "properties": properties, "comments": [], "found_from": found_from,
        }  # fmt: skip
        return key

    def _next_id(self) -> str:
        self.last_id += 1
        return str(self.last_id)

    def _shown(self, key: str, names: list[str]) -> dict[str, Any]:
        issue = self.issues[key]
        whole = {
            **issue["fields"],
            "labels": issue["fields"].get("labels", []),
            "status": _status(issue["status"]),
        }
        return {
            "id": issue["id"],
            "key": key,
            "fields": {name: whole[name] for name in names if name in whole},
        }


def text_of(node: Any) -> str:
    """The text of a document, a line per paragraph and break."""
    if node.get("type") in {"text", "hardBreak"}:
        return str(node.get("text", "\n"))
    separator = "\n" if node.get("type") == "doc" else ""
    return separator.join(text_of(child) for child in node.get("content", []))


def is_document(node: Any) -> bool:
    """Whether Jira would take it as an Atlassian Document: an empty text node is what it refuses most often."""
    return (
        isinstance(node, dict)
        and node.get("type") == "doc"
        and node.get("version") == 1
        and _is_valid(node)
    )


def _is_valid(node: dict[str, Any]) -> bool:
    if node.get("type") == "text":
        return bool(node.get("text"))
    return all(_is_valid(child) for child in node.get("content", []))


def _problems(fields: dict[str, Any]) -> dict[str, str]:
    summary, priority = fields.get("summary", ""), fields.get("priority", {}).get("name", "Medium")
    checks = {
        "project": fields.get("project", {}).get("key") == LAB_SETTINGS["project"],
        "issuetype": fields.get("issuetype", {}).get("name") in _ISSUE_TYPES,
        "summary": 0 < len(summary) <= _LONGEST_SUMMARY and "\n" not in summary,
        "description": "description" not in fields or is_document(fields["description"]),
        "labels": not any(" " in label for label in fields.get("labels", [])),
        "priority": priority in _PRIORITIES,
    }
    return {name: f"{name} is not valid" for name, good in checks.items() if not good}


def _effect_target(fields: dict[str, Any]) -> str:
    """The project and our tag: what a second ticket of the same step would share."""
    return " ".join(
        [
            LAB_SETTINGS["project"],
            *(label for label in fields.get("labels", []) if label.startswith("tocsin-")),
        ]
    )


def _signed_in(handler: Handler) -> Handler:
    pair = f"{LAB_SETTINGS['email']}:{LAB_SETTINGS['api_token']}".encode()
    expected = f"Basic {base64.b64encode(pair).decode()}"

    async def handle(request: Request) -> Response:
        if request.headers.get("authorization") != expected:
            return _refuse(401, "Client must be authenticated to access this resource.")
        return await handler(request)

    return handle


def _status(name: str) -> dict[str, Any]:
    return {"name": name, "statusCategory": {"key": _STATUSES[name]}}


def _without_properties(comment: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in comment.items() if name != "properties"}


def _number(key: str) -> int:
    return int(key.rpartition("-")[2])


def _refuse(status: int, message: str) -> Response:
    return JSONResponse({"errorMessages": [message], "errors": {}}, status)


def _no_issue() -> Response:
    return _refuse(404, "Issue does not exist or you do not have permission to see it.")
