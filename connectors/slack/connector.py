"""How a message is posted to a Slack channel, once per step of a run and as plain text."""

from __future__ import annotations

from typing import Any

from connectors.capabilities.messaging import Message, Messaging, PostMessage
from connectors.sdk.action import action
from connectors.sdk.call import Call
from connectors.sdk.connector import Connector
from connectors.sdk.http import Access, HttpClient
from connectors.slack.settings import SlackSettings
from connectors.slack.text import message
from connectors.slack.web import SlackWeb, carries
from orchestrator.domain.change import Effect, PlannedChange
from orchestrator.domain.observable import ObservableType, Target

_SHOWN = 300  # characters of a text that the summary shows


class PlannedPost(PlannedChange):
    """A message to post. `after`: the newest message there was; ours is newer. `ts`: the one that is there already."""

    channel: str
    text: str
    after: str
    ts: str | None = None


class Slack(Connector[SlackSettings], Messaging):
    """Speaks the Slack Web API. A message of ours carries the call's tag in its metadata, and is looked for before it is posted."""

    name = "slack"
    title = "Slack"
    docs = "https://docs.slack.dev/reference/methods/chat.postMessage"

    def __init__(self, settings: SlackSettings, http: HttpClient) -> None:
        super().__init__(settings, http)
        self._slack = SlackWeb(http, settings)

    @classmethod
    def headers(cls, settings: SlackSettings, access: Access) -> dict[str, str]:
        """The bot token."""
        token = (
            settings.write_bot_token
            if access is Access.WRITE and settings.write_bot_token
            else settings.bot_token
        )
        return {"Authorization": f"Bearer {token.get_secret_value()}"}

    async def check(self) -> str:
        """Asks Slack whose token it is."""
        return f"signed in as {await self._slack.whoami()}"

    async def plan_post(self, wish: PostMessage, call: Call) -> PlannedPost:
        """Looks whether this step has posted already."""
        channel = await self._slack.channel_id(wish.channel)
        ts, newest = await self._slack.tagged(channel, call.tag)
        return PlannedPost(
            target=Target.of(
                ObservableType.URL, f"{self.settings.base_url.rstrip('/')}/archives/{channel}"
            ),
            changed=ts is None,
            summary=f"{wish.channel} has this step's message already"
            if ts
            else f"Post to {wish.channel}: {_opening(wish.text)}",
            channel=channel,
            text=wish.text,
            after=newest,
            ts=ts,
        )

    async def verify_post(
        self, wish: PostMessage, planned_change: PlannedPost, output: dict[str, Any], call: Call
    ) -> bool:
        """Reads the message back by its timestamp and looks for the tag."""
        posted = await self._slack.at(planned_change.channel, str(output["id"]))
        return posted is not None and carries(posted, call.tag)

    @action(Effect.NOTIFY, plan=plan_post, verify=verify_post)
    async def post(self, planned_change: PlannedPost, call: Call) -> Message:
        """Post a message to a channel, as plain text that cannot mention, link or format anything."""
        ts = planned_change.ts
        if ts is None:
            ts, _ = await self._slack.tagged(
                planned_change.channel, call.tag, after=planned_change.after
            )
        if ts is None:
            ts = await self._slack.post(
                planned_change.channel, message(planned_change.text), call.tag
            )
        return Message(channel=planned_change.channel, id=ts)


def _opening(text: str) -> str:
    """The first words, on one line, for the person who approves."""
    words = " ".join(
        "".join(character if character.isprintable() else " " for character in text).split()
    )
    return words if len(words) <= _SHOWN else f"{words[:_SHOWN]}..."
