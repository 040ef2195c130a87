"""The Falcon API session: OAuth2 tokens, and errors that Falcon reports under HTTP 200 or 202."""

from __future__ import annotations

import asyncio
import time
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from connectors.crowdstrike.settings import CrowdStrikeSettings
from connectors.sdk.http import HttpClient, lost_reply
from connectors.sdk.reply import HttpReply
from connectors.sdk.transport import Access
from orchestrator.domain.errors import Rejected, Unavailable

_RENEW_BEFORE_SECONDS = 60
_MODEL = TypeVar("_MODEL", bound=BaseModel)


class FalconClient:
    """A session with one tenant. Methods raise Unavailable, Rejected, or Unknown for a write."""

    def __init__(self, http: HttpClient, settings: CrowdStrikeSettings) -> None:
        self._http = http
        self._settings = settings
        self._token: str | None = None
        self._token_until = 0.0
        self._lock = asyncio.Lock()

    async def probe(self) -> str:
        """Return one line about hosts and indicators, which tests both API scopes by reading."""
        hosts = await self.send("GET", "/devices/queries/devices/v1", params={"limit": "1"})
        iocs = await self.send("GET", "/iocs/combined/indicator/v1", params={"limit": "1"})
        return f"Falcon answers: {_total(hosts)} hosts, {_total(iocs)} custom indicators"

    async def send(
        self,
        method: str,
        path: str,
        *,
        raise_errors: bool = True,
        ok_statuses: tuple[int, ...] = (),
        **options: Any,
    ) -> HttpReply:
        """Send a request with a token and return the reply.

        After a 401, which Falcon answers before it does anything, the request is sent once more
        with a new token. With `raise_errors`, errors in the body raise; see `raise_for_errors`.
        """
        reply = await self._send_with_token(
            method, path, ok_statuses=(401, *ok_statuses), **options
        )
        if reply.status == 401:
            self._token = None
            reply = await self._send_with_token(method, path, ok_statuses=ok_statuses, **options)
        if raise_errors:
            raise_for_errors(reply)
        return reply

    async def _send_with_token(self, method: str, path: str, **options: Any) -> HttpReply:
        return await self._http.request(
            method,
            path,
            headers={"Authorization": f"Bearer {await self._valid_token()}"},
            **options,
        )

    async def _valid_token(self) -> str:
        async with self._lock:
            if self._token is None or time.monotonic() > self._token_until:
                self._token, self._token_until = await self._new_token()
            return self._token

    async def _new_token(self) -> tuple[str, float]:
        reply = await self._http.post("/oauth2/token", data=self._credentials())
        answer = reply.json()
        token, seconds = (
            (answer.get("access_token"), answer.get("expires_in", 1799))
            if isinstance(answer, dict)
            else (None, 0)
        )
        if not isinstance(token, str) or not token.isprintable() or not isinstance(seconds, int):
            raise reply.unreadable("has no access token")
        return token, time.monotonic() + max(0, seconds - _RENEW_BEFORE_SECONDS)

    def _credentials(self) -> dict[str, str]:
        """Return the write client for write access if there is one, else the read client."""
        settings = self._settings
        client, secret = settings.client_id, settings.client_secret
        if (
            self._http.access is Access.WRITE
            and settings.write_client_id
            and settings.write_client_secret
        ):
            client, secret = settings.write_client_id, settings.write_client_secret
        tenant = {"member_cid": settings.member_cid} if settings.member_cid else {}
        return {"client_id": client, "client_secret": secret.get_secret_value(), **tenant}


def resources_of(reply: HttpReply) -> list[Any]:
    """Return the `resources` of a reply, which may be absent. Raises for another kind of reply."""
    answer = reply.json()
    resources = answer.get("resources") if isinstance(answer, dict) else None
    if not isinstance(answer, dict) or not isinstance(resources, list | None):
        raise reply.unreadable("is not a Falcon answer")
    return resources or []


def next_page_of(reply: HttpReply) -> str:
    """Return the `after` token of the next page, empty after the last page."""
    paging = (reply.json().get("meta") or {}).get("pagination")
    after = paging.get("after") if isinstance(paging, dict) else None
    return after if isinstance(after, str) else ""


def raise_for_errors(reply: HttpReply, *, ignore: tuple[int, ...] = ()) -> None:
    """Raise for the entries of `errors[]`, also under a 200 or a 202.

    Raises Unavailable for 429 and 503; Unknown for a write or else Unavailable for another 5xx;
    Rejected for any other code that is not in `ignore`.
    """
    errors = [(code, text) for code, text in errors_of(reply) if code not in ignore]
    if not errors:
        return
    code = max(code for code, _ in errors)
    texts = "; ".join(text for _, text in errors)
    message = f"{reply.endpoint}: refused, under status {reply.status}: {texts}"
    if code in {429, 503}:
        raise Unavailable(message)
    raise lost_reply(message, writes=reply.writes) if code >= 500 else Rejected(message)


def errors_of(reply: HttpReply) -> list[tuple[int, str]]:
    """Return code and text of each error of a reply, including those of single resources."""
    answer = reply.json()
    if not isinstance(answer, dict) or "meta" not in answer:
        raise reply.unreadable("is not a Falcon answer")
    of_resources = [
        resource
        for resource in resources_of(reply)
        if isinstance(resource, dict) and resource.get("message_type") == "error"
    ]
    return [_error(error, reply) for error in [*(answer.get("errors") or []), *of_resources]]


def read_resource(model: type[_MODEL], entry: Any, reply: HttpReply) -> _MODEL:
    """Return a resource as a model. Raises the error of an unreadable reply."""
    try:
        return model.model_validate(entry)
    except ValidationError:
        name = model.__name__.strip("_").lower()
        raise reply.unreadable(f"has an unreadable {name}") from None


def _error(error: Any, reply: HttpReply) -> tuple[int, str]:
    fields = error if isinstance(error, dict) else {"message": error}
    code = fields.get("code")
    return code if isinstance(code, int) else 400, reply.redact(str(fields.get("message", error)))


def _total(reply: HttpReply) -> str:
    meta = reply.json().get("meta")
    paging = meta.get("pagination") if isinstance(meta, dict) else None
    return (
        str(paging["total"])
        if isinstance(paging, dict) and isinstance(paging.get("total"), int)
        else "an unknown number of"
    )
