"""The Okta management API: users, their lifecycle and sessions, and the System Log."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

from connectors.okta.settings import OktaSettings
from connectors.sdk.http import HttpClient
from connectors.sdk.reply import HttpReply, bounded_wait
from orchestrator.domain.errors import ActionError, Rejected

_ID = re.compile(r"[A-Za-z0-9]{16,32}")
_NOT_FOUND = 404
_WRONG_STATE = {
    "E0000001",
    "E0000016",
    "E0000038",
}  # API validation failed, already active, not allowed in this status
_LOOK_BACK = timedelta(days=7)
_CLEARED = "user.session.clear"


@dataclass(frozen=True, slots=True)
class OktaUser:
    """A user of the org."""

    id: str
    login: str
    name: str | None
    status: str
    """Okta's own status, such as ACTIVE or LOCKED_OUT."""
    last_login: str | None


class OktaClient:
    """One org's API. Methods raise Unavailable, Rejected, or Unknown for a write."""

    def __init__(self, http: HttpClient, settings: OktaSettings) -> None:
        self._http = http
        self._settings = settings

    async def user(self, name: str) -> OktaUser:
        """Return the user with a name, login or id. Raises Rejected when Okta knows none."""
        login = self._login(name)
        reply = await self._http.get(
            f"/api/v1/users/{quote(login, safe='@')}", ok_statuses={_NOT_FOUND}
        )
        if reply.status == _NOT_FOUND:
            if error_code(reply) == "E0000007":
                message = f"Okta knows no user {name[:100]!r}"
                raise Rejected(message)
            message = f"{reply.endpoint}: not an Okta API; check base_url"
            raise Rejected(message)
        return _user(reply, reply.json())

    async def groups(self, user: str) -> tuple[str, ...]:
        """Return the names of the user's first 200 groups."""
        reply = await self._http.get(f"/api/v1/users/{user}/groups", params={"limit": "200"})
        return tuple(
            _text(reply, group.get("profile"), "name") for group in _dicts(reply, reply.json())
        )

    async def whoami(self) -> str:
        """Return the login of the token's administrator."""
        reply = await self._http.get("/api/v1/users/me")
        return _user(reply, reply.json()).login

    async def set_status(self, user: str, status: str) -> None:
        """Suspend or unsuspend. Okta refuses a repetition: after a refusal, the status decides."""
        verb = "suspend" if status == "SUSPENDED" else "unsuspend"
        reply = await self._http.post(
            f"/api/v1/users/{user}/lifecycle/{verb}", ok_statuses={400, 403}
        )
        if 200 <= reply.status < 300:
            if reply.json() != {}:
                raise reply.unreadable("is not the empty object that confirms the status")
            return
        if error_code(reply) not in _WRONG_STATE:
            message = (
                f"{reply.endpoint}: the connection's credential may not {verb} this user "
                f"({reply.status}): {reply.excerpt}"
            )
            raise Rejected(message)
        current = (await self.user(user)).status
        if current != status:
            message = (
                f"{reply.endpoint}: Okta refused to {verb} a user who is {current}: {reply.excerpt}"
            )
            raise Rejected(message)

    async def end_sessions(self, user: str, tag: str) -> None:
        """End all sessions and revoke all tokens.

        The tag is sent as the user agent, which Okta records in its System Log.
        """
        query = {"oauthTokens": "true"}
        reply = await self._http.delete(
            f"/api/v1/users/{user}/sessions", params=query, headers={"User-Agent": _agent(tag)}
        )
        if reply.content:
            raise reply.unreadable("is not the empty body that confirms the end of sessions")

    async def has_ended_sessions(self, user: str, tag: str) -> bool:
        """Return whether the System Log shows that a call with this tag ended the user's sessions.

        Covers the last seven days.
        """
        query = {
            "filter": f'eventType eq "{_CLEARED}" and target.id eq "{user}"',
            "since": (datetime.now(UTC) - _LOOK_BACK).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "sortOrder": "DESCENDING",
            "limit": "1000",
        }
        reply = await self._http.get("/api/v1/logs", params=query)
        return any(
            _sent_by(event, tag) and _succeeded(event) for event in _dicts(reply, reply.json())
        )

    async def check_log_access(self) -> None:
        """Raise Rejected when the token's administrator may not read the System Log."""
        reply = await self._http.get("/api/v1/logs", params={"limit": "1"})
        _dicts(reply, reply.json())

    def _login(self, name: str) -> str:
        r"""Return the login for a name in an alert: `CORP\j.doe` by the configured domains."""
        domain, slash, account = name.rpartition("\\")
        if not slash:
            return self._plain(name, name)
        known = {
            netbios.lower(): suffix for netbios, suffix in self._settings.windows_domains.items()
        }
        if domain.lower() not in known:
            message = (
                f"the Windows domain {domain[:60]!r} is not in windows_domains; "
                "add it with the domain of its Okta logins"
            )
            raise Rejected(message)
        return f"{self._plain(account, name)}@{known[domain.lower()]}"

    def _plain(self, login: str, name: str) -> str:
        # `me` is the token's own administrator, and a slash cannot be part of the path.
        if login in {"", "me", ".", ".."} or "/" in login:
            message = f"{name[:100]!r} cannot be an Okta login"
            raise Rejected(message)
        return login


def error_code(reply: HttpReply) -> str | None:
    """Return Okta's error code, such as E0000007, or None."""
    try:
        answer = reply.json()
    except ActionError:
        return None
    code = answer.get("errorCode") if isinstance(answer, dict) else None
    return code if isinstance(code, str) else None


def rate_limit_wait(reply: HttpReply) -> timedelta | None:
    """Return the wait until X-Rate-Limit-Reset (seconds since 1970), by the clock in Date."""
    reset = reply.headers.get("X-Rate-Limit-Reset", "")
    if not re.fullmatch(r"[0-9]{1,11}", reset):
        return None
    try:
        now = parsedate_to_datetime(reply.headers.get("Date", ""))
    except (ValueError, TypeError):
        now = datetime.now(UTC)
    return bounded_wait(timedelta(seconds=int(reset) - now.timestamp()))


def _agent(tag: str) -> str:
    return f"tocsin/{tag}"


def _sent_by(event: dict[str, Any], tag: str) -> bool:
    client = event.get("client")
    agent = client.get("userAgent") if isinstance(client, dict) else None
    return isinstance(agent, dict) and agent.get("rawUserAgent") == _agent(tag)


def _succeeded(event: dict[str, Any]) -> bool:
    outcome = event.get("outcome")
    return isinstance(outcome, dict) and outcome.get("result") == "SUCCESS"


def _user(reply: HttpReply, entry: Any) -> OktaUser:
    user_id = _text(reply, entry, "id")
    if not _ID.fullmatch(user_id):
        raise reply.unreadable("has an invalid user id")
    profile = entry.get("profile")
    login = _text(reply, profile, "login")
    names = [profile.get("firstName"), profile.get("lastName")]
    last_login = entry.get("lastLogin")
    return OktaUser(
        id=user_id,
        login=login,
        name=" ".join(name for name in names if isinstance(name, str) and name) or None,
        status=_text(reply, entry, "status"),
        last_login=last_login if isinstance(last_login, str) else None,
    )


def _text(reply: HttpReply, holder: Any, name: str) -> str:
    value = holder.get(name) if isinstance(holder, dict) else None
    if not isinstance(value, str) or not value:
        raise reply.unreadable(f"has no {name}")
    return value


def _dicts(reply: HttpReply, value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise reply.unreadable("is not a list")
    return value
