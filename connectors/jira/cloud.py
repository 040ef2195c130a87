"""The Jira Cloud calls themselves: issues, comments, transitions, and how a ticket of ours is found although search lags."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from connectors.jira.planned_changes import PlannedOpen
from connectors.jira.settings import JiraSettings
from connectors.sdk.http import HttpClient, Reply
from orchestrator.domain.errors import Rejected

PROPERTY = "tocsin"  # of an issue and of a comment: {"tag": ...}
API = "/rest/api/3"
_AT_ONCE = 100  # Jira's limit of a bulk fetch, and a full page of comments
_MOST_PAGES = 50
_NOT_FOUND = 404


class JiraCloud:
    """One project. Every method raises Unavailable, Rejected, or (those that change) Unknown."""

    def __init__(self, http: HttpClient, settings: JiraSettings) -> None:
        self._http = http
        self._settings = settings

    async def myself(self) -> str:
        """The name of the account behind the token."""
        reply = await self._http.get(f"{API}/myself")
        return _text(reply, reply.json(), "displayName")

    async def project_name(self) -> str:
        """The name of the project. Rejected when there is none that the account may see."""
        reply = await self._http.get(
            f"{API}/project/{self._settings.project}", ok_statuses={_NOT_FOUND}
        )
        if reply.status == _NOT_FOUND:
            message = f"there is no project {self._settings.project} that {self._settings.email} may see; check `project` and the permissions"
            raise Rejected(message)
        return _text(reply, reply.json(), "name")

    async def issue(self, key: str, *fields: str) -> dict[str, Any] | None:
        """An issue with some fields, read from the database and not from the search index; None when there is none."""
        reply = await self._http.get(
            f"{API}/issue/{key}", params={"fields": ",".join(fields)}, ok_statuses={_NOT_FOUND}
        )
        return None if reply.status == _NOT_FOUND else _issue(reply, reply.json())

    async def tagged(self, tag: str, *, after: int | None = None) -> tuple[str | None, int]:
        """The key of the issue that carries our tag, if any, and the highest issue number seen.

        Search may not know an issue for minutes after it was created, and has no way to wait for one whose id was lost
        with the reply. Reading by key does not lag, and keys are numbered in order: so every key above `after` (the
        highest one when the change was planned) is read and looked at, 100 at a time, until a hundred in a row are not
        there. Without `after` the walk begins a hundred below the newest issue that search knows.
        """
        found = await self._search(f'project = "{self._settings.project}" AND labels = "{tag}"')
        if found:
            return found[0], after or 0
        if after is None:
            newest = await self._search(f'project = "{self._settings.project}" ORDER BY key DESC')
            after = max(0, max(map(self._number, newest), default=0) - _AT_ONCE)
        return await self._walk(tag, after)

    async def create(self, new: PlannedOpen, tag: str) -> str:
        """Create the issue; its key."""
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
        """Whether a comment with our tag is on the issue; the newest 5,000 are looked at."""
        for page in range(_MOST_PAGES):
            query = {"startAt": page * _AT_ONCE, "maxResults": _AT_ONCE, "orderBy": "-created"}
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
            if len(ids) < _AT_ONCE:
                return False
        return False

    async def comment(self, key: str, body: dict[str, Any], tag: str) -> None:
        """Add a comment."""
        reply = await self._http.post(
            f"{API}/issue/{key}/comment", json={"body": body, "properties": [_tag_property(tag)]}
        )
        _text(reply, reply.json(), "id")

    async def transitions(self, key: str) -> list[tuple[str, str, bool]]:
        """Id, name, and whether it leads to a done status, of every transition that can be made now."""
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
        for _ in range(_MOST_PAGES):
            issues = await self._read_by_key(range(start + 1, start + 1 + _AT_ONCE))
            highest = max([highest, *(self._number(str(issue["key"])) for issue in issues)])
            for issue in issues:
                if tag in (issue["fields"].get("labels") or ()):
                    return str(issue["key"]), highest
            if not issues:
                return None, highest
            start += _AT_ONCE
        message = f"more than {_MOST_PAGES * _AT_ONCE} tickets were opened in {self._settings.project} since this was planned; plan it again"
        raise Rejected(message)

    async def _read_by_key(self, numbers: Iterable[int]) -> list[dict[str, Any]]:
        keys = [f"{self._settings.project}-{number}" for number in numbers]
        reply = await self._http.post(
            f"{API}/issue/bulkfetch", json={"issueIdsOrKeys": keys, "fields": ["labels"]}
        )
        answer = reply.json()
        if isinstance(answer, dict) and answer.get("issueErrors"):
            raise reply.garbage("leaves out issues that it could not read")
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
        """The number in a key; 0 for an issue that has moved to another project."""
        project, _, number = key.rpartition("-")
        return int(number) if project == self._settings.project and number.isdecimal() else 0


def is_done(status: Any) -> bool:
    """Whether a status is one of the done ones."""
    category = status.get("statusCategory") if isinstance(status, dict) else None
    return isinstance(category, dict) and category.get("key") == "done"


def no_ticket(key: str) -> Rejected:
    """The error for a ticket that is not there."""
    return Rejected(f"there is no ticket {key} that the connection's account may see")


def _tag_property(tag: str) -> dict[str, Any]:
    return {"key": PROPERTY, "value": {"tag": tag}}


def _issue(reply: Reply, issue: Any) -> dict[str, Any]:
    _text(reply, issue, "key")
    if not isinstance(issue.get("fields"), dict):
        raise reply.garbage("has an issue without fields")
    return dict(issue)


def _text(reply: Reply, holder: Any, name: str) -> str:
    value = holder.get(name) if isinstance(holder, dict) else None
    if not isinstance(value, str) or not value:
        raise reply.garbage(f"has no {name}")
    return value


def _list(reply: Reply, holder: Any, name: str) -> list[Any]:
    value = holder.get(name) if isinstance(holder, dict) else None
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise reply.garbage(f"has no list of {name}")
    return value
