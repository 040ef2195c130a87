"""How does a product prove who it is? Each scheme's headers over the raw body, as the product itself would make them."""

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

_GIVE_UP = 90.0  # seconds; whatever was killed is up again long before


class Answer(Frozen):
    """What the webhook said. `attempts`: how often it was asked before it answered."""

    status: int
    body: dict[str, Any]
    attempts: int


class Sender:
    """Sends alerts of one source, and again with the same message id until there is an answer: nothing is lost, nothing twice."""

    def __init__(
        self, client: httpx.AsyncClient, source: str, scheme: Scheme, secret: SecretStr
    ) -> None:
        self._client, self._source, self._scheme, self._secret = client, source, scheme, secret

    async def send(self, body: bytes) -> Answer:
        """Raises Unavailable after 90 s without an answer."""
        message_id, deadline, attempts = f"msg_{uuid.uuid4().hex}", time.monotonic() + _GIVE_UP, 0
        while time.monotonic() < deadline:
            attempts += 1
            try:
                headers = signed(self._scheme, self._secret, body, message_id)
                reply = await self._client.post(
                    f"/v1/alerts/{self._source}", content=body, headers=headers
                )
            except httpx.HTTPError:
                await asyncio.sleep(
                    1.1
                )  # signed anew, with a later time: the same signed bytes would be a replay
                continue
            if not reply.is_server_error:
                return Answer(status=reply.status_code, body=reply.json(), attempts=attempts)
            await asyncio.sleep(1.1)
        message = f"the webhook of {self._source} gave no answer for {_GIVE_UP:.0f} s"
        raise Unavailable(message)


def signed(scheme: Scheme, secret: SecretStr, body: bytes, message_id: str) -> dict[str, str]:
    """The headers of a request whose body is exactly `body`, made now."""
    key = secret.get_secret_value()
    headers = {"content-type": "application/json"}
    match scheme:
        case Scheme.STANDARD_WEBHOOKS:
            sent = str(int(time.time()))
            content = f"{message_id}.{sent}.".encode() + body
            digest = hmac.digest(
                base64.b64decode(key.removeprefix("whsec_")), content, hashlib.sha256
            )
            signature = f"v1,{base64.b64encode(digest).decode()}"
            return {
                **headers,
                "webhook-id": message_id,
                "webhook-timestamp": sent,
                "webhook-signature": signature,
            }
        case Scheme.GITHUB:
            return {
                **headers,
                "x-hub-signature-256": f"sha256={hmac.digest(key.encode(), body, hashlib.sha256).hex()}",
            }
        case Scheme.HEADER:
            return {**headers, DEFAULT_HEADER: key}
        case Scheme.BEARER:
            return {**headers, "authorization": f"Bearer {key}"}
        case Scheme.BASIC:
            return {**headers, "authorization": f"Basic {base64.b64encode(key.encode()).decode()}"}
