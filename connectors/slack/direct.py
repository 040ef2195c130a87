"""How are people asked in Slack? By a message from the app to one person, which is edited once it is answered."""

from __future__ import annotations

from typing import Any

from connectors.sdk.http import HttpClient
from connectors.slack.text import message
from connectors.slack.web import judged, timestamp

JsonObject = dict[str, Any]


class DirectMessages:
    """On the connector's own way out. Every method raises Unavailable, Rejected or Unknown. No step of a run writes by these."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http

    async def send(self, user: str, blocks: list[JsonObject], notice: str) -> tuple[str, str]:
        """Writes to a person (chat.postMessage with a user's id); the channel and the timestamp of what was written."""
        reply = await self._http.post("/api/chat.postMessage", json=_said(user, blocks, notice))
        answer = judged(reply)
        channel = answer.get("channel")
        if not isinstance(channel, str):
            raise reply.garbage("does not say where the message is")
        return channel, timestamp(reply, answer)

    async def amend(self, channel: str, ts: str, blocks: list[JsonObject], notice: str) -> None:
        """Puts other words in the place of a message of ours (chat.update)."""
        judged(
            await self._http.post(
                "/api/chat.update", json={**_said(channel, blocks, notice), "ts": ts}
            )
        )

    async def whisper(self, channel: str, user: str, text: str) -> None:
        """Says something that this person alone sees, and that does not last (chat.postEphemeral)."""
        judged(
            await self._http.post(
                "/api/chat.postEphemeral", json={"channel": channel, "user": user, **message(text)}
            )
        )


def _said(channel: str, blocks: list[JsonObject], notice: str) -> JsonObject:
    return {"channel": channel, **message(notice), "blocks": blocks}
