"""The Slack Web API: channels by name, messages by metadata, and failures under HTTP 200."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from connectors.sdk.http import HttpClient
from connectors.sdk.reply import HttpReply
from connectors.slack.settings import SlackSettings
from orchestrator.domain.errors import ActionError, Rejected, Unavailable, Unknown

EVENT = "tocsin"  # the metadata's event_type; its payload is {"key": the call's tag}
_CHANNEL_ID = re.compile(r"[CG][A-Z0-9]{6,20}")
_TS = re.compile(r"[0-9]{1,12}\.[0-9]{6}")
_PAGE = 200
_MAX_PAGES = 20
_WAIT = timedelta(seconds=30)
_BUSY = {"ratelimited", "rate_limited", "service_unavailable", "team_added_to_org"}
_BROKEN = {"internal_error", "fatal_error", "request_timeout"}
_CREDENTIAL = {
    "access_denied",
    "account_inactive",
    "ekm_access_denied",
    "invalid_auth",
    "missing_scope",
    "no_permission",
    "not_allowed_token_type",
    "not_authed",
    "org_login_required",
    "token_expired",
    "token_revoked",
    "two_factor_setup_required",
}
_FIXES = {
    "not_in_channel": "invite the app to the channel",
    "channel_not_found": "check the name, and invite the app if the channel is private",
    "is_archived": "the channel is archived; choose another",
    "msg_too_long": "shorten the text",
    "restricted_action": "the workspace does not allow the app to post there",
}


class SlackClient:
    """One workspace's API. Methods raise Unavailable, Rejected, and `post` also Unknown."""

    def __init__(self, http: HttpClient, settings: SlackSettings) -> None:
        self._http = http
        self._settings = settings

    async def whoami(self) -> str:
        """Return `user in team` of the token."""
        answer = parse_answer(await self._http.get("/api/auth.test"))
        return f"{answer.get('user')} in {answer.get('team')}"

    async def channel_id(self, channel: str) -> str:
        """Return the id of a channel given by `#name`, name or id.

        Raises Rejected for anything else, such as a person, and for an unknown channel.
        """
        name = channel.strip().removeprefix("#")
        known = self._settings.channels
        if known is not None:
            channel_id = known.get(name) or (name if name in known.values() else None)
        else:
            channel_id = name if _CHANNEL_ID.fullmatch(name) else await self._find_channel(name)
        if channel_id is None:
            message = (
                f"this connection can post to no channel {channel[:80]!r}; "
                f"{_FIXES['channel_not_found']}"
            )
            raise Rejected(message)
        return channel_id

    async def find_tagged(
        self, channel: str, tag: str, *, after: str | None = None
    ) -> tuple[str | None, str]:
        """Return the timestamps of the message with the tag and of the newest message.

        None without a tagged message, "0" in an empty channel. History does not lag: it covers
        everything newer than `after`, or without it the newest 4,000 messages.
        """
        newest = after or "0"
        async for message in self._messages(channel, {"oldest": after} if after else {}):
            newest = max(newest, message["ts"], key=_moment)
            if has_tag(message, tag):
                return message["ts"], newest
        return None, newest

    async def message_at(self, channel: str, ts: str) -> dict[str, Any] | None:
        """Return the message with exactly that timestamp, or None."""
        async for message in self._messages(
            channel, {"oldest": ts, "latest": ts, "inclusive": "true"}
        ):
            if message["ts"] == ts:
                return message
        return None

    async def post(self, channel: str, message: dict[str, Any], tag: str) -> str:
        """Post a message and return its timestamp, which is its id."""
        metadata = {"event_type": EVENT, "event_payload": {"key": tag}}
        reply = await self._http.post(
            "/api/chat.postMessage", json={"channel": channel, **message, "metadata": metadata}
        )
        return timestamp(reply, parse_answer(reply))

    async def _find_channel(self, name: str) -> str | None:
        query = {
            "types": "public_channel,private_channel",
            "exclude_archived": "true",
            "limit": str(_PAGE),
        }
        async for reply, answer in self._pages("conversations.list", query):
            for channel in _dicts(reply, answer, "channels"):
                if channel.get("name") == name and _CHANNEL_ID.fullmatch(str(channel.get("id"))):
                    return str(channel["id"])
        return None

    async def _messages(
        self, channel: str, bounds: dict[str, str]
    ) -> AsyncIterator[dict[str, Any]]:
        query = {
            "channel": channel,
            "limit": str(_PAGE),
            "include_all_metadata": "true",
            **bounds,
        }
        async for reply, answer in self._pages("conversations.history", query):
            for message in _dicts(reply, answer, "messages"):
                timestamp(reply, message)
                yield message

    async def _pages(
        self, method: str, query: dict[str, str]
    ) -> AsyncIterator[tuple[HttpReply, dict[str, Any]]]:
        cursor = ""
        for _ in range(_MAX_PAGES):
            reply = await self._http.get(
                f"/api/{method}", params={**query, **({"cursor": cursor} if cursor else {})}
            )
            answer = parse_answer(reply)
            yield reply, answer
            metadata = answer.get("response_metadata")
            cursor = str(metadata.get("next_cursor") or "") if isinstance(metadata, dict) else ""
            if not cursor:
                return


def has_tag(message: dict[str, Any], tag: str) -> bool:
    """Return whether a call with this tag posted the message."""
    metadata = message.get("metadata")
    return (
        isinstance(metadata, dict)
        and metadata.get("event_type") == EVENT
        and metadata.get("event_payload") == {"key": tag}
    )


def parse_answer(reply: HttpReply) -> dict[str, Any]:
    """Return the answer of a success, which only `ok` tells, under any HTTP status.

    Raises Unavailable, Rejected, Unknown.
    """
    answer = reply.json()
    if not isinstance(answer, dict) or not isinstance(answer.get("ok"), bool):
        raise reply.unreadable("has no `ok`")
    if answer["ok"]:
        return answer
    raise _action_error(reply, str(answer.get("error", "no reason given")))


def _action_error(reply: HttpReply, error: str) -> ActionError:
    code = reply.redact(error)
    if error in _BUSY:
        return Unavailable(
            f"{reply.endpoint}: Slack is busy, try again later: {code}", retry_after=_WAIT
        )
    if error in _BROKEN:
        message = f"{reply.endpoint}: Slack failed: {code}"
        return Unknown(message) if reply.writes else Unavailable(message)
    if error in _CREDENTIAL:
        return Rejected(
            f"{reply.endpoint}: the connection's credential is wrong or lacks permission: {code}"
        )
    fix = _FIXES.get(error)
    return Rejected(f"{reply.endpoint}: refused: {code}" + (f"; {fix}" if fix else ""))


def _dicts(reply: HttpReply, answer: dict[str, Any], name: str) -> list[dict[str, Any]]:
    value = answer.get(name)
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise reply.unreadable(f"has no list of {name}")
    return value


def timestamp(reply: HttpReply, message: dict[str, Any]) -> str:
    """Return a message's timestamp, its id in the channel. Raises for an unreadable reply."""
    ts = message.get("ts")
    if not isinstance(ts, str) or not _TS.fullmatch(ts):
        raise reply.unreadable("has a message without a timestamp")
    return ts


def _moment(ts: str) -> tuple[int, int]:
    seconds, _, fraction = ts.partition(".")
    return int(seconds), int(fraction or 0)
