"""How tickets are opened, commented and closed in one project of Jira Cloud, each once per step of a run."""

from __future__ import annotations

import base64
import re
from typing import Any

import httpx

from connectors.capabilities.ticketing import (
    CommentTicket,
    OpenTicket,
    Ticket,
    TicketDetails,
    Ticketing,
    TicketKey,
)
from connectors.jira import adf
from connectors.jira.cloud import API, JiraCloud, is_done, no_ticket
from connectors.jira.planned_changes import PlannedClose, PlannedComment, PlannedOpen
from connectors.jira.settings import JiraSettings
from connectors.sdk.action import action
from connectors.sdk.call import Call
from connectors.sdk.connector import Connector
from connectors.sdk.http import Access, HttpClient
from connectors.sdk.rate import RateLimit
from orchestrator.domain.change import Effect
from orchestrator.domain.errors import Rejected
from orchestrator.domain.observable import ObservableType, Target

_READING_POSTS = tuple(
    f"{API}/{path}" for path in ("search/jql", "issue/bulkfetch", "comment/list")
)
_OUR_TAG = re.compile(r"tocsin-[0-9a-f]{16}")
_LONGEST_LABEL = 255


class Jira(Connector[JiraSettings], Ticketing):
    """Speaks the Jira Cloud platform REST API v3. A ticket of ours carries the call's tag as a label and as a property."""

    name = "jira"
    title = "Jira Cloud"
    docs = "https://developer.atlassian.com/cloud/jira/platform/rest/v3/"
    rate_limit = RateLimit(10)

    def __init__(self, settings: JiraSettings, http: HttpClient) -> None:
        super().__init__(settings, http)
        self._jira = JiraCloud(http, settings)

    @classmethod
    def is_read(cls, request: httpx.Request) -> bool:
        """GET, and the three POSTs that only look things up."""
        return super().is_read(request) or (
            request.method == "POST" and request.url.path.endswith(_READING_POSTS)
        )

    @classmethod
    def headers(cls, settings: JiraSettings, access: Access) -> dict[str, str]:
        """Basic authentication: the account's e-mail address and its API token."""
        email, token = settings.email, settings.api_token
        if access is Access.WRITE and settings.write_api_token:
            email, token = settings.write_email or email, settings.write_api_token
        pair = base64.b64encode(f"{email}:{token.get_secret_value()}".encode()).decode("ascii")
        return {"Authorization": f"Basic {pair}", "Accept": "application/json"}

    async def check(self) -> str:
        """Reads the account and the project."""
        return f"signed in as {await self._jira.myself()}; project {self.settings.project}, {await self._jira.project_name()}"

    @action(Effect.READ)
    async def find(self, query: TicketKey, call: Call) -> TicketDetails:
        """Look a ticket of the project up by its key."""
        issue = await self._issue(query.key, "summary", "status")
        key, status = str(issue["key"]), issue["fields"].get("status")
        return TicketDetails(
            key=key,
            url=self.settings.url_of(key),
            title=str(issue["fields"].get("summary", "")),
            status=_name(status),
            closed=is_done(status),
        )

    async def plan_open(self, wish: OpenTicket, call: Call) -> PlannedOpen:
        """Looks whether this step has opened its ticket already."""
        key, highest = await self._jira.tagged(call.tag)
        title = adf.one_line(wish.title) or "(no title)"
        return PlannedOpen(
            target=Target.of(ObservableType.URL, self.settings.project_url),
            changed=key is None,
            summary=f"{key} is this step's ticket already"
            if key
            else f"Open a ticket in {self.settings.project}: {title}",
            title=title,
            body=adf.ticket(
                wish.description,
                wish.evidence,
                f"Opened by Tocsin (run {call.run_id}, step {call.step_id}): {call.reason}",
            ),
            labels=(*_labels(wish.labels), call.tag),
            priority=self.settings.priorities.get(wish.priority),
            after=highest,
            key=key,
        )

    async def verify_open(
        self, wish: OpenTicket, planned_change: PlannedOpen, output: dict[str, Any], call: Call
    ) -> bool:
        """Reads the ticket by its key, which does not lag as search does, and looks for the tag."""
        issue = await self._jira.issue(self._key(str(output["key"])), "labels")
        return issue is not None and call.tag in (issue["fields"].get("labels") or ())

    @action(Effect.NOTIFY, plan=plan_open, verify=verify_open)
    async def open(self, planned_change: PlannedOpen, call: Call) -> Ticket:
        """Open a ticket with the evidence in a code block. Creating is not idempotent at Jira: it is looked for first."""
        key = planned_change.key
        if key is None:
            key, _ = await self._jira.tagged(call.tag, after=planned_change.after)
        if key is None:
            key = await self._jira.create(planned_change, call.tag)
        return self._ticket(key)

    async def plan_comment(self, wish: CommentTicket, call: Call) -> PlannedComment:
        """Looks whether this step has commented already."""
        key = self._key(wish.key)
        there = await self._jira.has_comment(key, call.tag)
        return PlannedComment(
            target=self._target(key),
            changed=not there,
            summary=f"{key} has this step's comment already" if there else f"Comment on {key}",
            key=key,
            body=adf.comment(wish.text),
        )

    @action(Effect.NOTIFY, plan=plan_comment)
    async def comment(self, planned_change: PlannedComment, call: Call) -> Ticket:
        """Add a comment to a ticket of the project."""
        if planned_change.changed and not await self._jira.has_comment(
            planned_change.key, call.tag
        ):
            await self._jira.comment(planned_change.key, planned_change.body, call.tag)
        return self._ticket(planned_change.key)

    async def plan_close(self, wish: TicketKey, call: Call) -> PlannedClose:
        """Looks whether the ticket is done, and which transition leads there."""
        key = self._key(wish.key)
        status = (await self._issue(key, "status"))["fields"].get("status")
        done = is_done(status)
        return PlannedClose(
            target=self._target(key),
            changed=not done,
            summary=f"{key} is closed already ({_name(status)})"
            if done
            else f"Close {key}, which is {_name(status)}",
            key=key,
            status=_name(status),
            transition=None if done else await self._closing(key),
        )

    @action(Effect.NOTIFY, plan=plan_close)
    async def close(self, planned_change: PlannedClose, call: Call) -> Ticket:
        """Close a ticket by a transition that leads to a done status."""
        if planned_change.transition and not is_done(
            (await self._issue(planned_change.key, "status"))["fields"].get("status")
        ):
            await self._jira.transition(planned_change.key, planned_change.transition)
        return self._ticket(planned_change.key)

    async def _issue(self, key: str, *fields: str) -> dict[str, Any]:
        issue = await self._jira.issue(self._key(key), *fields)
        if issue is None:
            raise no_ticket(key)
        return issue

    async def _closing(self, key: str) -> str:
        transitions = await self._jira.transitions(key)
        wanted = self.settings.close_transition
        for identity, name, done in transitions:
            if name == wanted or (wanted is None and done):
                return identity
        there = ", ".join(name for _, name, _ in transitions) or "none"
        message = f"no transition closes {key} from here; there are: {there}. Name one in close_transition"
        raise Rejected(message)

    def _key(self, key: str) -> str:
        """The key in its canonical spelling, if it is one of the project's."""
        found = key.strip().upper()
        if not re.fullmatch(rf"{self.settings.project}-[1-9][0-9]{{0,9}}", found):
            message = f"{key[:100]!r} is no ticket of project {self.settings.project}, the only one that this connection may touch"
            raise Rejected(message)
        return found

    def _target(self, key: str) -> Target:
        return Target.of(ObservableType.URL, self.settings.url_of(key))

    def _ticket(self, key: str) -> Ticket:
        return Ticket(key=key, url=self.settings.url_of(key))


def _labels(given: tuple[str, ...]) -> list[str]:
    """Labels as Jira takes them, without spaces; one that looks like our tag is left out, so that none can be claimed."""
    labels = (
        "_".join(adf.printable(label).split())[:_LONGEST_LABEL] for label in ("tocsin", *given)
    )
    return list(
        dict.fromkeys(label for label in labels if label and not _OUR_TAG.fullmatch(label.lower()))
    )


def _name(status: Any) -> str:
    return str(status.get("name", "unknown")) if isinstance(status, dict) else "unknown"
