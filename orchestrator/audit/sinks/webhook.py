"""A sink that posts each batch to an HTTPS address, signed as Standard Webhooks are."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ssl

import httpx

from orchestrator.audit.sinks.sink import SEND_SECONDS, SinkDelivery, SinkUnavailable
from orchestrator.domain.clock import Clock


class WebhookSink:
    """A receiver of JSON lines, which acknowledges with any 2xx status."""

    def __init__(self, url: str, secret: bytes, tls: ssl.SSLContext, clock: Clock) -> None:
        parts = httpx.URL(url)
        self.name = str(parts.copy_with(userinfo=b"", query=None, fragment=None))
        self._url, self._secret, self._tls, self._clock = url, secret, tls, clock

    async def send(self, delivery: SinkDelivery) -> None:
        """Post the lines. No redirect is followed, and no proxy of the environment is used."""
        body = b"".join(delivery.lines)
        moment = str(int(self._clock().timestamp()))
        signed = f"{delivery.id}.{moment}.".encode() + body
        signature = base64.b64encode(hmac.digest(self._secret, signed, hashlib.sha256)).decode()
        headers = {
            "content-type": "application/x-ndjson",
            "webhook-id": delivery.id,
            "webhook-timestamp": moment,
            "webhook-signature": f"v1,{signature}",
        }
        try:
            async with (
                httpx.AsyncClient(
                    verify=self._tls, timeout=SEND_SECONDS, trust_env=False
                ) as client,
                client.stream("POST", self._url, content=body, headers=headers) as reply,
            ):
                status = reply.status_code
        except httpx.HTTPError as error:
            raise SinkUnavailable(f"{self.name}: {type(error).__name__}: {error}") from error
        if not 200 <= status < 300:
            raise SinkUnavailable(f"{self.name}: answered with status {status}")
