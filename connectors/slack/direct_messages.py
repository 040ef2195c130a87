"""Direct messages from the Slack app to a person, which ask for decisions and are edited later."""

from __future__ import annotations

from connectors.sdk.call import JsonObject
from connectors.sdk.http import HttpClient
from connectors.slack.client import parse_answer, timestamp
from connectors.slack.text import message


class DirectMessages:
    """Direct messages over a connection. Methods raise Unavailable, Rejected, Unknown.

    Notifications use them; no step of a run does.
    """

    def __init__(self, http: HttpClient) -> None:
        self._http = http

    async def send(self, user: str, blocks: list[JsonObject], notice: str) -> tuple[str, str]:
        """Send a message to a user id (chat.postMessage). Returns its channel and timestamp."""
        reply = await self._http.post("/api/chat.postMessage", json=_body(user, blocks, notice))
        answer = parse_answer(reply)
        channel = answer.get("channel")
        if not isinstance(channel, str):
            raise reply.unreadable("has no channel")
        return channel, timestamp(reply, answer)

    async def update(self, channel: str, ts: str, blocks: list[JsonObject], notice: str) -> None:
        """Replace the content of a sent message (chat.update)."""
        parse_answer(
            await self._http.post(
                "/api/chat.update", json={**_body(channel, blocks, notice), "ts": ts}
            )
        )

    async def send_ephemeral(self, channel: str, user: str, text: str) -> None:
        """Show a temporary message to this user only (chat.postEphemeral)."""
        parse_answer(
            await self._http.post(
                "/api/chat.postEphemeral", json={"channel": channel, "user": user, **message(text)}
            )
        )


def _body(channel: str, blocks: list[JsonObject], notice: str) -> JsonObject:
    return {"channel": channel, **message(notice), "blocks": blocks}
