"""The products of the demo: alerts are sent, authenticated, until there is an answer."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
import uuid
from typing import Any

import httpx
from pydantic import SecretStr

from orchestrator.domain.errors import Unavailable
from orchestrator.domain.model import Frozen
from orchestrator.intake.authenticate import DEFAULT_HEADER, Scheme

_GIVE_UP = 90.0  # seconds; whatever was killed is running again long before
_PAUSE = 1.1  # seconds; the next attempt has a later timestamp, as the same bytes would be a replay


class WebhookAnswer(Frozen):
    """The answer of the webhook."""

    status: int
    body: dict[str, Any]
    attempts: int
    """How often it was sent before there was an answer."""


class Sender:
    """Sends the alerts of one source; attempts share a message id, so none counts twice."""

    def __init__(
        self, client: httpx.AsyncClient, source: str, scheme: Scheme, secret: SecretStr
    ) -> None:
        self._client, self._source, self._scheme, self._secret = client, source, scheme, secret

    async def send(self, body: bytes) -> WebhookAnswer:
        """Return the answer. Raise Unavailable after 90 s without one."""
        message_id, deadline, attempts = f"msg_{uuid.uuid4().hex}", time.monotonic() + _GIVE_UP, 0
        while time.monotonic() < deadline:
            attempts += 1
            headers = sign_headers(self._scheme, self._secret, body, message_id)
            try:
                reply = await self._client.post(
                    f"/v1/webhooks/{self._source}", content=body, headers=headers
                )
            except httpx.HTTPError:
                await asyncio.sleep(_PAUSE)
                continue
            if not reply.is_server_error:
                return WebhookAnswer(status=reply.status_code, body=reply.json(), attempts=attempts)
            await asyncio.sleep(_PAUSE)
        raise Unavailable(f"the webhook of {self._source} did not answer for {_GIVE_UP:.0f} s")


def sign_headers(scheme: Scheme, secret: SecretStr, body: bytes, message_id: str) -> dict[str, str]:
    """Return the headers of a request whose body is exactly `body`, at this moment."""
    key = secret.get_secret_value()
    headers = {"content-type": "application/json"}
    match scheme:
        case Scheme.STANDARD_WEBHOOKS:
            return headers | _standard_webhooks(key, body, message_id)
        case Scheme.GITHUB:
            digest = hmac.digest(key.encode(), body, hashlib.sha256).hex()
            return headers | {"x-hub-signature-256": f"sha256={digest}"}
        case Scheme.HEADER:
            return headers | {DEFAULT_HEADER: key}
        case Scheme.BEARER:
            return headers | {"authorization": f"Bearer {key}"}
        case Scheme.BASIC:
            credentials = base64.b64encode(key.encode()).decode()
            return headers | {"authorization": f"Basic {credentials}"}


def _standard_webhooks(key: str, body: bytes, message_id: str) -> dict[str, str]:
    timestamp = str(int(time.time()))
    content = f"{message_id}.{timestamp}.".encode() + body
    digest = hmac.digest(base64.b64decode(key.removeprefix("whsec_")), content, hashlib.sha256)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
