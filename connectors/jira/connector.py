"""The Jira Cloud connector: opens, comments and closes tickets of one project."""

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
from connectors.jira.client import API, JiraClient, is_done, no_ticket
from connectors.jira.planned_changes import NewComment, NewTicket, TicketClosing
from connectors.jira.settings import JiraSettings
from connectors.sdk.action import action
from connectors.sdk.call import ActionCall, is_tag
from connectors.sdk.connector import Connector
from connectors.sdk.http import HttpClient
from connectors.sdk.rate_limit import RateLimit
from connectors.sdk.transport import Access
from orchestrator.domain.change import Effect
from orchestrator.domain.errors import Rejected
from orchestrator.domain.observable import ObservableType, Target

_READING_POSTS = tuple(
    f"{API}/{path}" for path in ("search/jql", "issue/bulkfetch", "comment/list")
)
_LONGEST_LABEL = 255


class Jira(Connector[JiraSettings], Ticketing):
    """Speaks the Jira Cloud REST API v3. Tickets carry the call's tag as a label and a property."""

    name = "jira"
    title = "Jira Cloud"
    docs = "https://developer.atlassian.com/cloud/jira/platform/rest/v3/"
    rate_limit = RateLimit(10)

    def __init__(self, settings: JiraSettings, http: HttpClient) -> None:
        super().__init__(settings, http)
        self._jira = JiraClient(http, settings)

    @classmethod
    def is_read(cls, request: httpx.Request) -> bool:
        """Return whether it is a GET, or one of the three POSTs that only read."""
        return super().is_read(request) or (
            request.method == "POST" and request.url.path.endswith(_READING_POSTS)
        )

    @classmethod
    def headers(cls, settings: JiraSettings, access: Access) -> dict[str, str]:
        """Return Basic authentication with the account's e-mail address and API token."""
        email, token = settings.email, settings.api_token
        if access is Access.WRITE and settings.write_api_token:
            email, token = settings.write_email or email, settings.write_api_token
        pair = base64.b64encode(f"{email}:{token.get_secret_value()}".encode()).decode("ascii")
        return {"Authorization": f"Basic {pair}", "Accept": "application/json"}

    async def check(self) -> str:
        """Read the account and the project."""
        account, project = await self._jira.myself(), await self._jira.project_name()
        return f"signed in as {account}; project {self.settings.project}, {project}"

    @action(Effect.READ)
    async def find(self, query: TicketKey, call: ActionCall) -> TicketDetails:
        """Look up a ticket of the project by its key."""
        issue = await self._issue(query.key, "summary", "status")
        key, status = str(issue["key"]), issue["fields"].get("status")
        return TicketDetails(
            key=key,
            url=self.settings.url_of(key),
            title=str(issue["fields"].get("summary", "")),
            status=_name(status),
            closed=is_done(status),
        )

    async def plan_open(self, inputs: OpenTicket, call: ActionCall) -> NewTicket:
        """Read whether this step has opened its ticket already."""
        key, highest = await self._jira.find_tagged(call.tag)
        title = adf.one_line(inputs.title) or "(no title)"
        return NewTicket(
            target=Target.of(ObservableType.URL, self.settings.project_url),
            changed=key is None,
            summary=f"{key} is this step's ticket already"
            if key
            else f"Open a ticket in {self.settings.project}: {title}",
            title=title,
            body=adf.ticket(
                inputs.description,
                inputs.evidence,
                f"Opened by Tocsin (run {call.run_id}, step {call.step_id}): {call.reason}",
            ),
            labels=(*_labels(inputs.labels), call.tag),
            priority=self.settings.priorities.get(inputs.priority),
            after=highest,
            key=key,
        )

    async def verify_open(
        self,
        inputs: OpenTicket,
        planned_change: NewTicket,
        output: dict[str, Any],
        call: ActionCall,
    ) -> bool:
        """Read the ticket by key, which does not lag as search does, and compare its tag."""
        issue = await self._jira.issue(self._key(str(output["key"])), "labels")
        return issue is not None and call.tag in (issue["fields"].get("labels") or ())

    @action(Effect.NOTIFY, plan=plan_open, verify=verify_open)
    async def open(self, planned_change: NewTicket, call: ActionCall) -> Ticket:
        """Open a ticket, unless this step has opened one, with the evidence in a code block."""
        key = planned_change.key
        if key is None:
            # Creating is not idempotent in Jira, so the ticket of an earlier try is searched first.
            key, _ = await self._jira.find_tagged(call.tag, after=planned_change.after)
        if key is None:
            key = await self._jira.create(planned_change, call.tag)
        return self._ticket(key)

    async def plan_comment(self, inputs: CommentTicket, call: ActionCall) -> NewComment:
        """Read whether this step has commented already."""
        key = self._key(inputs.key)
        exists = await self._jira.has_comment(key, call.tag)
        return NewComment(
            target=self._target(key),
            changed=not exists,
            summary=f"{key} has this step's comment already" if exists else f"Comment on {key}",
            key=key,
            body=adf.comment(inputs.text),
        )

    @action(Effect.NOTIFY, plan=plan_comment)
    async def comment(self, planned_change: NewComment, call: ActionCall) -> Ticket:
        """Add a comment to a ticket of the project."""
        if planned_change.changed and not await self._jira.has_comment(
            planned_change.key, call.tag
        ):
            await self._jira.comment(planned_change.key, planned_change.body, call.tag)
        return self._ticket(planned_change.key)

    async def plan_close(self, inputs: TicketKey, call: ActionCall) -> TicketClosing:
        """Read whether the ticket is done, and which transition leads there."""
        key = self._key(inputs.key)
        status = (await self._issue(key, "status"))["fields"].get("status")
        done = is_done(status)
        return TicketClosing(
            target=self._target(key),
            changed=not done,
            summary=f"{key} is already closed ({_name(status)})"
            if done
            else f"Close {key} ({_name(status)})",
            key=key,
            status=_name(status),
            transition=None if done else await self._closing(key),
        )

    @action(Effect.NOTIFY, plan=plan_close)
    async def close(self, planned_change: TicketClosing, call: ActionCall) -> Ticket:
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
        possible = ", ".join(name for _, name, _ in transitions) or "none"
        message = (
            f"no transition closes {key} in its status; possible: {possible}. "
            "Name one in close_transition"
        )
        raise Rejected(message)

    def _key(self, key: str) -> str:
        """Return the key in its canonical spelling. Raises Rejected for another project's."""
        canonical = key.strip().upper()
        if not re.fullmatch(rf"{self.settings.project}-[1-9][0-9]{{0,9}}", canonical):
            message = (
                f"{key[:100]!r} is not a ticket of project {self.settings.project}, "
                "the only project of this connection"
            )
            raise Rejected(message)
        return canonical

    def _target(self, key: str) -> Target:
        return Target.of(ObservableType.URL, self.settings.url_of(key))

    def _ticket(self, key: str) -> Ticket:
        return Ticket(key=key, url=self.settings.url_of(key))


def _labels(given: tuple[str, ...]) -> list[str]:
    """Return the labels without spaces, and without those that look like a tag."""
    labels = (
        "_".join(adf.printable(label).split())[:_LONGEST_LABEL] for label in ("tocsin", *given)
    )
    return list(dict.fromkeys(label for label in labels if label and not is_tag(label.lower())))


def _name(status: Any) -> str:
    return str(status.get("name", "unknown")) if isinstance(status, dict) else "unknown"
