"""How Slack behaves, in memory: one workspace, channels that the app is a member of or not, and failures with HTTP 200."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.sdk.emulator import JSON, Emulator

LAB_SETTINGS: dict[str, Any] = {"bot_token": "xoxb-lab-token"}

_CHANNELS = {  # id: (name, whether the app is a member, whether it is archived)
    "C0SOC000001": ("soc", True, False),
    "C0INCIDENT1": ("incidents", True, False),
    "C0GENERAL01": ("general", False, False),
    "C0OLDWAR001": ("old-war-room", True, True),
}
_EPOCH = 1_750_000_000
_LONGEST_TEXT, _MOST_BLOCKS, _LONGEST_BLOCK = 40_000, 50, 3000

Handler = Callable[[Request], Awaitable[Response]]


class SlackEmulator(Emulator):
    """Traps: every failure but a rate limit is HTTP 200 with `ok: false`; posting is not idempotent; history is paged."""

    name = "slack"

    @classmethod
    def settings(cls, base_url: str) -> dict[str, Any]:
        """The lab's bot token."""
        return {**LAB_SETTINGS, "base_url": base_url}

    def seed(self) -> None:
        """Channels in which people have talked a little."""
        self.messages: dict[str, list[dict[str, Any]]] = {channel: [] for channel in _CHANNELS}
        self.posted = 0
        for channel in ("C0SOC000001", "C0INCIDENT1"):
            self.say(channel, {"type": "message", "user": "U0ANALYST01", "text": "Shift handover: quiet night."})

    def in_force(self) -> JSON:
        """The texts in each channel, by its name, oldest first."""
        return {f"#{_CHANNELS[channel][0]}": [message["text"] for message in said] for channel, said in self.messages.items() if said}

    def dump(self) -> JSON:
        """Every message, and how many there were."""
        return {"messages": {channel: list(said) for channel, said in self.messages.items()}, "posted": self.posted}

    def load(self, world: JSON) -> None:
        """Puts them back."""
        self.messages = {channel: list(said) for channel, said in world["messages"].items()}
        self.posted = world["posted"]

    def say(self, channel: str, message: dict[str, Any]) -> str:
        """Puts a message into a channel; its timestamp."""
        self.posted += 1
        ts = f"{_EPOCH + self.posted}.{self.posted % 1_000_000:06d}"
        self.messages[channel].append({**message, "ts": ts})
        return ts

    def routes(self) -> Sequence[Route]:
        """The methods that the connector uses; a GET is as good as a POST."""
        table: dict[str, Handler] = {
            "auth.test": self._test,
            "conversations.list": self._list,
            "conversations.history": self._history,
        }
        reads = [Route(f"/api/{method}", _signed_in(handler), methods=["GET"]) for method, handler in table.items()]
        return [*reads, Route("/api/chat.postMessage", _signed_in(self._post), methods=["POST"])]

    async def _test(self, _request: Request) -> Response:
        return JSONResponse(
            {"ok": True, "team": "Corp", "user": "tocsin", "team_id": "T0CORP00001", "user_id": "U0TOCSIN001", "bot_id": "B0TOCSIN001"}
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
        if problem := _barred(query.get("channel", "")):
            return _failure(problem)
        inclusive = query.get("inclusive") == "true"
        oldest, latest = float(query.get("oldest", 0)), float(query.get("latest", "inf"))
        newest_first = [
            message if query.get("include_all_metadata") == "true" else {name: message[name] for name in message if name != "metadata"}
            for message in reversed(self.messages[query["channel"]])
            if oldest < float(message["ts"]) < latest or (inclusive and float(message["ts"]) in (oldest, latest))
        ]
        return JSONResponse({"ok": True, **_page(request, newest_first, "messages")})

    async def _post(self, request: Request) -> Response:
        wish = await request.json()
        channel = wish.get("channel", "")
        if problem := _barred(channel) or _ill_formed(wish):
            return _failure(problem)
        kept = {name: wish[name] for name in ("text", "blocks", "metadata") if name in wish}
        ts = self.say(channel, {"type": "message", "bot_id": "B0TOCSIN001", **kept})
        key = wish.get("metadata", {}).get("event_payload", {}).get("key")
        self.record_effect(request, "post", f"#{_CHANNELS[channel][0]}", key)
        return JSONResponse({"ok": True, "channel": channel, "ts": ts, "message": self.messages[channel][-1]})


def _barred(channel: str) -> str | None:
    if channel not in _CHANNELS:
        return "channel_not_found"
    _, member, archived = _CHANNELS[channel]
    return "is_archived" if archived else None if member else "not_in_channel"


def _ill_formed(wish: dict[str, Any]) -> str | None:
    blocks = wish.get("blocks", [])
    if not wish.get("text") and not blocks:
        return "no_text"
    if len(wish.get("text", "")) > _LONGEST_TEXT:
        return "msg_too_long"
    lengths = [len(block.get("text", {}).get("text", "")) for block in blocks]
    return None if len(blocks) <= _MOST_BLOCKS and all(0 < length <= _LONGEST_BLOCK for length in lengths) else "invalid_blocks"


def _page(request: Request, whole: list[Any], name: str) -> dict[str, Any]:
    start, most = int(request.query_params.get("cursor", "0")), int(request.query_params.get("limit", "100"))
    more = start + most < len(whole)
    return {name: whole[start : start + most], "has_more": more, "response_metadata": {"next_cursor": str(start + most) if more else ""}}


def _signed_in(handler: Handler) -> Handler:
    async def handle(request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {LAB_SETTINGS['bot_token']}":
            return _failure("invalid_auth")
        return await handler(request)

    return handle


def _failure(error: str) -> Response:
    return JSONResponse({"ok": False, "error": error})
