"""The Slack connector: posts messages to channels, once per step of a run and as plain text."""

from __future__ import annotations

from typing import Any

from connectors.capabilities.messaging import Message, Messaging, PostMessage
from connectors.sdk.action import action
from connectors.sdk.call import ActionCall
from connectors.sdk.connector import Connector
from connectors.sdk.http import HttpClient
from connectors.sdk.transport import Access
from connectors.slack.client import SlackClient, has_tag
from connectors.slack.planned_changes import NewMessage
from connectors.slack.settings import SlackSettings
from connectors.slack.text import mention, message
from orchestrator.domain.change import Effect
from orchestrator.domain.observable import ObservableType, Target

_PREVIEW = 300  # characters of a text that the summary shows


class Slack(Connector[SlackSettings], Messaging):
    """Speaks the Slack Web API. Messages carry the tag in their metadata."""

    name = "slack"
    title = "Slack"
    docs = "https://docs.slack.dev/reference/methods/chat.postMessage"

    def __init__(self, settings: SlackSettings, http: HttpClient) -> None:
        super().__init__(settings, http)
        self._slack = SlackClient(http, settings)

    @classmethod
    def headers(cls, settings: SlackSettings, access: Access) -> dict[str, str]:
        """Return the bot token."""
        token = (
            settings.write_bot_token
            if access is Access.WRITE and settings.write_bot_token
            else settings.bot_token
        )
        return {"Authorization": f"Bearer {token.get_secret_value()}"}

    async def check(self) -> str:
        """Read the token's account."""
        return f"signed in as {await self._slack.whoami()}"

    async def plan_post(self, inputs: PostMessage, call: ActionCall) -> NewMessage:
        """Read whether this step has posted already."""
        mentions = tuple(mention(identity) for identity in inputs.mention)
        channel = await self._slack.channel_id(inputs.channel)
        ts, newest = await self._slack.find_tagged(channel, call.tag)
        return NewMessage(
            target=Target.of(
                ObservableType.URL, f"{self.settings.base_url.rstrip('/')}/archives/{channel}"
            ),
            changed=ts is None,
            summary=f"{inputs.channel} has this step's message already"
            if ts
            else f"Post to {inputs.channel}{_whom(inputs.mention)}: {_preview(inputs.text)}",
            channel=channel,
            text=inputs.text,
            mentions=mentions,
            after=newest,
            ts=ts,
        )

    async def verify_post(
        self,
        inputs: PostMessage,
        planned_change: NewMessage,
        output: dict[str, Any],
        call: ActionCall,
    ) -> bool:
        """Read the message back by its timestamp and compare the tag."""
        posted = await self._slack.message_at(planned_change.channel, str(output["id"]))
        return posted is not None and has_tag(posted, call.tag)

    @action(Effect.NOTIFY, plan=plan_post, verify=verify_post)
    async def post(self, planned_change: NewMessage, call: ActionCall) -> Message:
        """Post a message to a channel, as plain text; only `mention` mentions people."""
        ts = planned_change.ts
        if ts is None:
            ts, _ = await self._slack.find_tagged(
                planned_change.channel, call.tag, after=planned_change.after
            )
        if ts is None:
            ts = await self._slack.post(
                planned_change.channel,
                message(planned_change.text, planned_change.mentions),
                call.tag,
            )
        return Message(channel=planned_change.channel, id=ts)


def _whom(mentions: tuple[str, ...]) -> str:
    return f", mentioning {', '.join(mentions)}" if mentions else ""


def _preview(text: str) -> str:
    """Return the start of the text on one line, for approvers."""
    line = " ".join(
        "".join(character if character.isprintable() else " " for character in text).split()
    )
    return line if len(line) <= _PREVIEW else f"{line[:_PREVIEW]}..."
