"""The Jira Cloud REST API v3: issues, comments, transitions, and finding a ticket by its tag."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from connectors.jira.planned_changes import NewTicket
from connectors.jira.settings import JiraSettings
from connectors.sdk.http import HttpClient
from connectors.sdk.reply import HttpReply
from orchestrator.domain.errors import Rejected

PROPERTY = "tocsin"  # of an issue and of a comment: {"tag": ...}
API = "/rest/api/3"
_PAGE = 100  # Jira's limit of a bulk fetch, and a full page of comments
_MAX_PAGES = 50
_NOT_FOUND = 404


class JiraClient:
    """One project's API. Methods raise Unavailable, Rejected, or Unknown for a write."""

    def __init__(self, http: HttpClient, settings: JiraSettings) -> None:
        self._http = http
        self._settings = settings

    async def myself(self) -> str:
        """Return the display name of the token's account."""
        reply = await self._http.get(f"{API}/myself")
        return _text(reply, reply.json(), "displayName")

    async def project_name(self) -> str:
        """Return the project's name. Raises Rejected when the account cannot see the project."""
        reply = await self._http.get(
            f"{API}/project/{self._settings.project}", ok_statuses={_NOT_FOUND}
        )
        if reply.status == _NOT_FOUND:
            message = (
                f"{self._settings.email} can see no project {self._settings.project}; "
                "check `project` and the permissions"
            )
            raise Rejected(message)
        return _text(reply, reply.json(), "name")

    async def issue(self, key: str, *fields: str) -> dict[str, Any] | None:
        """Return an issue with some fields, or None. Reads the database, not the search index."""
        reply = await self._http.get(
            f"{API}/issue/{key}", params={"fields": ",".join(fields)}, ok_statuses={_NOT_FOUND}
        )
        return None if reply.status == _NOT_FOUND else _issue(reply, reply.json())

    async def find_tagged(self, tag: str, *, after: int | None = None) -> tuple[str | None, int]:
        """Return the key of the issue with the tag, if any, and the highest issue number read.

        Search may not find an issue for minutes after it was created, and cannot wait for one whose
        id was lost with the reply. Reading by key does not lag, and keys are numbered in order. So
        every key above `after` (the highest one at the time of the plan) is read, 100 at a time,
        until a hundred in a row do not exist. Without `after`, the walk begins a hundred below the
        newest issue that search finds.
        """
        found = await self._search(f'project = "{self._settings.project}" AND labels = "{tag}"')
        if found:
            return found[0], after or 0
        if after is None:
            newest = await self._search(f'project = "{self._settings.project}" ORDER BY key DESC')
            after = max(0, max(map(self._number, newest), default=0) - _PAGE)
        return await self._walk(tag, after)

    async def create(self, new: NewTicket, tag: str) -> str:
        """Create the issue and return its key."""
        fields: dict[str, Any] = {
            "project": {"key": self._settings.project},
            "issuetype": {"name": self._settings.issue_type},
            "summary": new.title,
            "description": new.body,
            "labels": list(new.labels),
        }
        if new.priority is not None:
            fields["priority"] = {"name": new.priority}
        reply = await self._http.post(
            f"{API}/issue", json={"fields": fields, "properties": [_tag_property(tag)]}
        )
        return _text(reply, reply.json(), "key")

    async def has_comment(self, key: str, tag: str) -> bool:
        """Return whether the issue has a comment with the tag, among its newest 5,000."""
        for page in range(_MAX_PAGES):
            query = {"startAt": page * _PAGE, "maxResults": _PAGE, "orderBy": "-created"}
            reply = await self._http.get(
                f"{API}/issue/{key}/comment", params=query, ok_statuses={_NOT_FOUND}
            )
            if reply.status == _NOT_FOUND:
                raise no_ticket(key)
            ids = [
                int(_text(reply, comment, "id"))
                for comment in _list(reply, reply.json(), "comments")
            ]
            if ids and await self._any_tagged(ids, tag):
                return True
            if len(ids) < _PAGE:
                return False
        return False

    async def comment(self, key: str, body: dict[str, Any], tag: str) -> None:
        """Add a comment."""
        reply = await self._http.post(
            f"{API}/issue/{key}/comment", json={"body": body, "properties": [_tag_property(tag)]}
        )
        _text(reply, reply.json(), "id")

    async def transitions(self, key: str) -> list[tuple[str, str, bool]]:
        """Return id, name and whether it leads to a done status, of each possible transition."""
        reply = await self._http.get(f"{API}/issue/{key}/transitions")
        return [
            (
                _text(reply, transition, "id"),
                _text(reply, transition, "name"),
                is_done(transition.get("to")),
            )
            for transition in _list(reply, reply.json(), "transitions")
        ]

    async def transition(self, key: str, transition: str) -> None:
        """Make a transition."""
        await self._http.post(
            f"{API}/issue/{key}/transitions", json={"transition": {"id": transition}}
        )

    async def _search(self, jql: str) -> list[str]:
        reply = await self._http.post(
            f"{API}/search/jql", json={"jql": jql, "maxResults": 1, "fields": ["key"]}
        )
        return [_text(reply, issue, "key") for issue in _list(reply, reply.json(), "issues")]

    async def _walk(self, tag: str, after: int) -> tuple[str | None, int]:
        highest = start = after
        for _ in range(_MAX_PAGES):
            issues = await self._read_by_key(range(start + 1, start + 1 + _PAGE))
            highest = max([highest, *(self._number(str(issue["key"])) for issue in issues)])
            for issue in issues:
                if tag in (issue["fields"].get("labels") or ()):
                    return str(issue["key"]), highest
            if not issues:
                return None, highest
            start += _PAGE
        message = (
            f"more than {_MAX_PAGES * _PAGE} tickets were opened in {self._settings.project} "
            "since the plan; plan again"
        )
        raise Rejected(message)

    async def _read_by_key(self, numbers: Iterable[int]) -> list[dict[str, Any]]:
        keys = [f"{self._settings.project}-{number}" for number in numbers]
        reply = await self._http.post(
            f"{API}/issue/bulkfetch", json={"issueIdsOrKeys": keys, "fields": ["labels"]}
        )
        answer = reply.json()
        if isinstance(answer, dict) and answer.get("issueErrors"):
            raise reply.unreadable("omits issues that it could not read")
        return [_issue(reply, issue) for issue in _list(reply, answer, "issues")]

    async def _any_tagged(self, ids: list[int], tag: str) -> bool:
        reply = await self._http.post(
            f"{API}/comment/list", params={"expand": "properties"}, json={"ids": ids}
        )
        properties = (
            entry
            for comment in _list(reply, reply.json(), "values")
            for entry in comment.get("properties") or ()
        )
        return any(entry == _tag_property(tag) for entry in properties)

    def _number(self, key: str) -> int:
        """Return the number in a key, 0 for an issue that moved to another project."""
        project, _, number = key.rpartition("-")
        return int(number) if project == self._settings.project and number.isdecimal() else 0


def is_done(status: Any) -> bool:
    """Return whether the status is in the category `done`."""
    category = status.get("statusCategory") if isinstance(status, dict) else None
    return isinstance(category, dict) and category.get("key") == "done"


def no_ticket(key: str) -> Rejected:
    """Return the error for a ticket that does not exist or is not visible."""
    return Rejected(f"the connection's account can see no ticket {key}; check the key")


def _tag_property(tag: str) -> dict[str, Any]:
    return {"key": PROPERTY, "value": {"tag": tag}}


def _issue(reply: HttpReply, issue: Any) -> dict[str, Any]:
    _text(reply, issue, "key")
    if not isinstance(issue.get("fields"), dict):
        raise reply.unreadable("has an issue without fields")
    return dict(issue)


def _text(reply: HttpReply, holder: Any, name: str) -> str:
    value = holder.get(name) if isinstance(holder, dict) else None
    if not isinstance(value, str) or not value:
        raise reply.unreadable(f"has no {name}")
    return value


def _list(reply: HttpReply, holder: Any, name: str) -> list[Any]:
    value = holder.get(name) if isinstance(holder, dict) else None
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise reply.unreadable(f"has no list of {name}")
    return value
