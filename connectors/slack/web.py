"""The Slack Web API calls themselves: HTTP 200 that means failure, channels by name, and our own messages by their metadata."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from connectors.sdk.http import HttpClient, Reply
from connectors.slack.settings import SlackSettings
from orchestrator.domain.errors import ActionError, Rejected, Unavailable, Unknown

EVENT = "tocsin"  # the metadata's event_type; its payload is {"key": the call's tag}
_CHANNEL_ID = re.compile(r"[CG][A-Z0-9]{6,20}")
_TS = re.compile(r"[0-9]{1,12}\.[0-9]{6}")
_AT_ONCE = 200
_MOST_PAGES = 20
_WAIT = timedelta(seconds=30)
_BUSY = {"ratelimited", "rate_limited", "service_unavailable", "team_added_to_org"}
_BROKEN = {"internal_error", "fatal_error", "request_timeout"}
_CREDENTIAL = {
    "access_denied", "account_inactive", "ekm_access_denied", "invalid_auth", "missing_scope", "no_permission", "not_allowed_token_type",
    "not_authed", "org_login_required", "token_expired", "token_revoked", "two_factor_setup_required",
}  # fmt: skip
_MENDS = {
    "not_in_channel": "invite the app to the channel",
    "channel_not_found": "check the name, and invite the app if the channel is private",
    "is_archived": "the channel is archived; choose another",
    "msg_too_long": "shorten the text",
    "restricted_action": "the workspace does not let the app post there",
}


class SlackWeb:
    """One workspace. Every method raises Unavailable, Rejected, or (`post`) Unknown."""

    def __init__(self, http: HttpClient, settings: SlackSettings) -> None:
        self._http = http
        self._settings = settings

    async def whoami(self) -> str:
        """`user in team` of the token."""
        answer = judged(await self._http.get("/api/auth.test"))
        return f"{answer.get('user')} in {answer.get('team')}"

    async def channel_id(self, channel: str) -> str:
        """The id of a channel given by `#name`, name or id. Rejected for anything that is no channel, such as a person."""
        name = channel.strip().removeprefix("#")
        known = self._settings.channels
        if known is not None:
            found = known.get(name) or (name if name in known.values() else None)
        else:
            found = name if _CHANNEL_ID.fullmatch(name) else await self._named(name)
        if found is None:
            message = f"there is no channel {channel[:80]!r} that this connection may write to; {_MENDS['channel_not_found']}"
            raise Rejected(message)
        return found

    async def tagged(
        self, channel: str, tag: str, *, after: str | None = None
    ) -> tuple[str | None, str]:
        """The timestamp of the message that carries our tag, if any, and that of the newest message ("0" when there is none).

        History does not lag: everything after `after` is looked at, or without it the newest 4,000 messages.
        """
        newest = after or "0"
        async for message in self._messages(channel, {"oldest": after} if after else {}):
            newest = max(newest, message["ts"], key=_moment)
            if carries(message, tag):
                return message["ts"], newest
        return None, newest

    async def at(self, channel: str, ts: str) -> dict[str, Any] | None:
        """The message of exactly that timestamp."""
        async for message in self._messages(
            channel, {"oldest": ts, "latest": ts, "inclusive": "true"}
        ):
            if message["ts"] == ts:
                return message
        return None

    async def post(self, channel: str, message: dict[str, Any], tag: str) -> str:
        """Post a message; its timestamp, which is its id."""
        metadata = {"event_type": EVENT, "event_payload": {"key": tag}}
        reply = await self._http.post(
            "/api/chat.postMessage", json={"channel": channel, **message, "metadata": metadata}
        )
        return timestamp(reply, judged(reply))

    async def _named(self, name: str) -> str | None:
        query = {
            "types": "public_channel,private_channel",
            "exclude_archived": "true",
            "limit": str(_AT_ONCE),
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
            "limit": str(_AT_ONCE),
            "include_all_metadata": "true",
            **bounds,
        }
        async for reply, answer in self._pages("conversations.history", query):
            for message in _dicts(reply, answer, "messages"):
                timestamp(reply, message)
                yield message

    async def _pages(
        self, method: str, query: dict[str, str]
    ) -> AsyncIterator[tuple[Reply, dict[str, Any]]]:
        cursor = ""
        for _ in range(_MOST_PAGES):
            reply = await self._http.get(
                f"/api/{method}", params={**query, **({"cursor": cursor} if cursor else {})}
            )
            answer = judged(reply)
            yield reply, answer
            follows = answer.get("response_metadata")
            cursor = str(follows.get("next_cursor") or "") if isinstance(follows, dict) else ""
            if not cursor:
                return


def carries(message: dict[str, Any], tag: str) -> bool:
    """Whether a message is the one that a call with this tag posted."""
    metadata = message.get("metadata")
    return (
        isinstance(metadata, dict)
        and metadata.get("event_type") == EVENT
        and metadata.get("event_payload") == {"key": tag}
    )


def judged(reply: Reply) -> dict[str, Any]:
    """The answer, if it is a success: only `ok` tells, whatever HTTP says. Raises Unavailable, Rejected, Unknown."""
    answer = reply.json()
    if not isinstance(answer, dict) or not isinstance(answer.get("ok"), bool):
        raise reply.garbage("does not say whether it is ok")
    if answer["ok"]:
        return answer
    raise _refusal(reply, str(answer.get("error", "no reason given")))


def _refusal(reply: Reply, error: str) -> ActionError:
    code = reply.redacted(error)
    if error in _BUSY:
        return Unavailable(
            f"{reply.place}: Slack asks to come back later: {code}", retry_after=_WAIT
        )
    if error in _BROKEN:
        message = f"{reply.place}: Slack failed: {code}"
        return Unknown(message) if reply.writes else Unavailable(message)
    if error in _CREDENTIAL:
        return Rejected(
            f"{reply.place}: the connection's credential is wrong or may not do this: {code}"
        )
    mend = _MENDS.get(error)
    return Rejected(f"{reply.place}: refused: {code}" + (f"; {mend}" if mend else ""))


def _dicts(reply: Reply, answer: dict[str, Any], name: str) -> list[dict[str, Any]]:
    value = answer.get(name)
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise reply.garbage(f"has no list of {name}")
    return value


def timestamp(reply: Reply, message: dict[str, Any]) -> str:
    """By which Slack knows a message in its channel. Raises what an unreadable reply means."""
    ts = message.get("ts")
    if not isinstance(ts, str) or not _TS.fullmatch(ts):
        raise reply.garbage("has a message without a timestamp")
    return ts


def _moment(ts: str) -> tuple[int, int]:
    seconds, _, fraction = ts.partition(".")
    return int(seconds), int(fraction or 0)
