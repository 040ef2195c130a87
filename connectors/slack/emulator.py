"""An emulated Slack workspace: channels with and without the app, and clicks on buttons."""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.sdk.call import JSON
from connectors.sdk.emulator import Emulator

LAB_SETTINGS: dict[str, Any] = {
    "bot_token": "xoxb-lab-token",
    "signing_secret": "lab-signing-secret",
}

_CHANNELS = {  # id: (name, whether the app is a member, whether it is archived)
    "C0SOC000001": ("soc", True, False),
    "C0INCIDENT1": ("incidents", True, False),
    "C0GENERAL01": ("general", False, False),
    "C0OLDWAR001": ("old-war-room", True, True),
}
_PEOPLE = {  # user id: the channel of direct messages
    "U0ANALYST01": "D0ANALYST01",
    "U0LEADER001": "D0LEADER001",
}
_EPOCH = 1_750_000_000
_LONGEST_TEXT, _MAX_BLOCKS, _LONGEST_BLOCK = 40_000, 50, 3000

Handler = Callable[[Request], Awaitable[Response]]


class SlackEmulator(Emulator):
    """A workspace with four channels and two people.

    Traps: a failure is HTTP 200 with `ok: false`; posting is not idempotent; history is paged.
    """

    name = "slack"

    @classmethod
    def settings(cls, base_url: str) -> dict[str, Any]:
        """Return the lab's bot token."""
        return {**LAB_SETTINGS, "base_url": base_url}

    def seed(self) -> None:
        """Set the initial state: channels with one message each."""
        self.messages: dict[str, list[dict[str, Any]]] = {
            channel: [] for channel in [*_CHANNELS, *_PEOPLE.values()]
        }
        self.ephemeral: list[dict[str, Any]] = []
        self.posted = 0
        for channel in ("C0SOC000001", "C0INCIDENT1"):
            self.add_message(
                channel,
                {"type": "message", "user": "U0ANALYST01", "text": "Shift handover: quiet night."},
            )

    def in_force(self) -> JSON:
        """Return the texts in each channel by its name, oldest first."""
        return {
            _name(channel): [message["text"] for message in messages]
            for channel, messages in self.messages.items()
            if messages
        }

    def dump(self) -> JSON:
        """Return every message and the counter of messages."""
        messages = {channel: list(entries) for channel, entries in self.messages.items()}
        return {"messages": messages, "posted": self.posted, "ephemeral": list(self.ephemeral)}

    def load(self, world: JSON) -> None:
        """Replace the state with what `dump` returned."""
        self.messages = {channel: [] for channel in self.messages} | {
            channel: list(entries) for channel, entries in world["messages"].items()
        }
        self.posted, self.ephemeral = world["posted"], list(world["ephemeral"])

    def add_message(self, channel: str, message: dict[str, Any]) -> str:
        """Add a message to a channel and return its timestamp."""
        self.posted += 1
        ts = f"{_EPOCH + self.posted}.{self.posted % 1_000_000:06d}"
        self.messages[channel].append({**message, "ts": ts})
        return ts

    def routes(self) -> Sequence[Route]:
        """Return the methods that the connector uses: reads by GET, changes by POST."""
        table: dict[str, Handler] = {
            "auth.test": self._test,
            "conversations.list": self._list,
            "conversations.history": self._history,
        }
        reads = [
            Route(f"/api/{method}", _signed_in(handler), methods=["GET"])
            for method, handler in table.items()
        ]
        changes: dict[str, Handler] = {
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "chat.postEphemeral": self._post_ephemeral,
        }
        return [
            *reads,
            *(
                Route(f"/api/{method}", _signed_in(handler), methods=["POST"])
                for method, handler in changes.items()
            ),
        ]

    def click(
        self, user: str, channel: str, ts: str, action: str, *, at: int
    ) -> tuple[dict[str, str], bytes]:
        """Return the signed headers and the body of a click on the button with this `action_id`.

        `at` is the time of the signature, in seconds since the epoch.
        """
        posted = next(message for message in self.messages[channel] if message["ts"] == ts)
        buttons = [
            each
            for block in posted["blocks"]
            if block["type"] == "actions"
            for each in block["elements"]
        ]
        pressed = next(button for button in buttons if button["action_id"] == action)
        payload = {
            "type": "block_actions",
            "user": {"id": user, "team_id": "T0CORP00001"},
            "trigger_id": f"{at}.{self.posted}.{user}",
            "container": {"type": "message", "message_ts": ts, "channel_id": channel},
            "channel": {"id": channel},
            "response_url": "https://hooks.slack.com/actions/T0CORP00001/1/x",
            "actions": [
                {
                    "type": "button",
                    "action_id": action,
                    "value": pressed["value"],
                    "action_ts": f"{at}.000001",
                }
            ],
        }
        body = urlencode({"payload": json.dumps(payload)}).encode()
        return sign_headers(body, at), body

    async def _test(self, _request: Request) -> Response:
        return JSONResponse(
            {
                "ok": True,
                "team": "Corp",
                "user": "tocsin",
                "team_id": "T0CORP00001",
                "user_id": "U0TOCSIN001",
                "bot_id": "B0TOCSIN001",
            }
        )

    async def _list(self, request: Request) -> Response:
        shown = [
            {"id": identity, "name": name, "is_member": member, "is_archived": archived}
            for identity, (name, member, archived) in _CHANNELS.items()
            if not (archived and request.query_params.get("exclude_archived") == "true")
        ]
        return JSONResponse({"ok": True, **_page(request, shown, "channels")})

    async def _history(self, request: Request) -> Response:
        query = request.query_params
        if problem := _channel_error(query.get("channel", "")):
            return _failure(problem)
        inclusive = query.get("inclusive") == "true"
        oldest, latest = float(query.get("oldest", 0)), float(query.get("latest", "inf"))
        newest_first = [
            message
            if query.get("include_all_metadata") == "true"
            else {name: message[name] for name in message if name != "metadata"}
            for message in reversed(self.messages[query["channel"]])
            if oldest < float(message["ts"]) < latest
            or (inclusive and float(message["ts"]) in (oldest, latest))
        ]
        return JSONResponse({"ok": True, **_page(request, newest_first, "messages")})

    async def _post(self, request: Request) -> Response:
        body = await request.json()
        channel = _PEOPLE.get(body.get("channel", ""), body.get("channel", ""))
        if problem := _channel_error(channel) or _content_error(body):
            return _failure(problem)
        content = {name: body[name] for name in ("text", "blocks", "metadata") if name in body}
        ts = self.add_message(channel, {"type": "message", "bot_id": "B0TOCSIN001", **content})
        key = body.get("metadata", {}).get("event_payload", {}).get("key")
        self.record_effect(request, "post", _name(channel), key)
        return JSONResponse(
            {"ok": True, "channel": channel, "ts": ts, "message": self.messages[channel][-1]}
        )

    async def _update(self, request: Request) -> Response:
        body = await request.json()
        channel, ts = body.get("channel", ""), body.get("ts", "")
        # Unlike chat.postMessage, chat.update does not accept a user id: it is an unknown channel.
        if problem := _channel_error(channel) or _content_error(body):
            return _failure(problem)
        for message in self.messages[channel]:
            if message["ts"] == ts:
                message.update({name: body[name] for name in ("text", "blocks") if name in body})
                self.record_effect(request, "update", f"{_name(channel)} {ts}")
                return JSONResponse(
                    {"ok": True, "channel": channel, "ts": ts, "text": body.get("text", "")}
                )
        return _failure("message_not_found")

    async def _post_ephemeral(self, request: Request) -> Response:
        body = await request.json()
        if problem := _channel_error(body.get("channel", "")) or _content_error(body):
            return _failure(problem)
        self.ephemeral.append({name: body[name] for name in ("channel", "user", "text")})
        self.state_changed()
        return JSONResponse({"ok": True, "message_ts": f"{_EPOCH}.000000"})


def sign_headers(
    body: bytes, at: int, secret: str = LAB_SETTINGS["signing_secret"]
) -> dict[str, str]:
    """Return the headers with which Slack signs a body at that second."""
    digest = hmac.digest(secret.encode(), b"v0:%d:%s" % (at, body), "sha256").hex()
    content_type = "application/x-www-form-urlencoded"
    return {
        "X-Slack-Request-Timestamp": str(at),
        "X-Slack-Signature": f"v0={digest}",
        "Content-Type": content_type,
    }


def _name(channel: str) -> str:
    return f"#{_CHANNELS[channel][0]}" if channel in _CHANNELS else f"@{channel}"


def _channel_error(channel: str) -> str | None:
    if channel in _PEOPLE.values():
        return None
    if channel not in _CHANNELS:
        return "channel_not_found"
    _, member, archived = _CHANNELS[channel]
    return "is_archived" if archived else None if member else "not_in_channel"


def _content_error(body: dict[str, Any]) -> str | None:
    blocks = body.get("blocks", [])
    if not body.get("text") and not blocks:
        return "no_text"
    if len(body.get("text", "")) > _LONGEST_TEXT:
        return "msg_too_long"
    lengths = [
        len(block.get("text", {}).get("text", ""))
        for block in blocks
        if block.get("type") == "section"
    ]
    return (
        None
        if len(blocks) <= _MAX_BLOCKS and all(0 < length <= _LONGEST_BLOCK for length in lengths)
        else "invalid_blocks"
    )


def _page(request: Request, whole: list[Any], name: str) -> dict[str, Any]:
    start, limit = (
        int(request.query_params.get("cursor", "0")),
        int(request.query_params.get("limit", "100")),
    )
    more = start + limit < len(whole)
    return {
        name: whole[start : start + limit],
        "has_more": more,
        "response_metadata": {"next_cursor": str(start + limit) if more else ""},
    }


def _signed_in(handler: Handler) -> Handler:
    async def handle(request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {LAB_SETTINGS['bot_token']}":
            return _failure("invalid_auth")
        return await handler(request)

    return handle


def _failure(error: str) -> Response:
    return JSONResponse({"ok": False, "error": error})
