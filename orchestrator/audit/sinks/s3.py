"""A sink that puts each batch into a bucket with object lock: no one can delete it before its time.

The S3 API by path-style addresses, signed by AWS Signature Version 4.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlsplit

import httpx
from pydantic import SecretStr

from orchestrator.audit.anchor import BrokenTrail
from orchestrator.audit.sinks.sink import SEND_SECONDS, SinkDelivery, SinkUnavailable
from orchestrator.domain.clock import Clock
from orchestrator.settings.sinks import S3Address

_STAMP = "%Y%m%dT%H%M%SZ"
_EXISTS = (httpx.codes.PRECONDITION_FAILED, httpx.codes.CONFLICT)
_REASON = 300


class S3Sink:
    """A bucket. An object's name begins with the time of its batch, so that names are in order."""

    def __init__(
        self,
        name: str,
        address: S3Address,
        key_id: str,
        secret: SecretStr,
        tls: ssl.SSLContext,
        clock: Clock,
    ) -> None:
        self.name = name
        self._address, self._key_id, self._secret = address, key_id, secret
        self._tls, self._clock = tls, clock

    async def send(self, delivery: SinkDelivery) -> None:
        """Put the lines, and return once the bucket shows that they are locked."""
        checkpoint = delivery.checkpoint
        key = (
            f"{self._address.prefix}{checkpoint.sealed_at}-{checkpoint.batch:012d}-"
            f"{checkpoint.digest[:16]}.jsonl"
        )
        try:
            async with httpx.AsyncClient(
                verify=self._tls, timeout=SEND_SECONDS, trust_env=False
            ) as client:
                if len(delivery.lines) > 1:  # a checkpoint alone shows that the batch is there
                    await self._put(client, key, b"".join(delivery.lines))
                await self._require_lock(client, key)
        except httpx.HTTPError as error:
            raise SinkUnavailable(f"{self.name}: {type(error).__name__}: {error}") from error

    async def _put(self, client: httpx.AsyncClient, key: str, body: bytes) -> None:
        until = self._clock().astimezone(UTC) + timedelta(days=self._address.retain_days)
        headers = {
            "content-type": "application/x-ndjson",
            "if-none-match": "*",
            "x-amz-object-lock-mode": "COMPLIANCE",
            "x-amz-object-lock-retain-until-date": until.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "x-amz-sdk-checksum-algorithm": "SHA256",
            "x-amz-checksum-sha256": _base64(hashlib.sha256(body).digest()),
        }
        reply = await self._request(client, "PUT", key, body, headers)
        if reply.status_code in _EXISTS:
            await self._require_same(client, key, body)
        elif not reply.is_success:
            raise self._refused(reply)

    async def _require_same(self, client: httpx.AsyncClient, key: str, body: bytes) -> None:
        reply = await self._request(client, "GET", key)
        if not reply.is_success:
            raise self._refused(reply)
        if reply.content != body:
            raise BrokenTrail(
                f"{self.name} has another object {key}: find out who writes to the bucket"
            )

    async def _require_lock(self, client: httpx.AsyncClient, key: str) -> None:
        reply = await self._request(client, "HEAD", key)
        if not reply.is_success:
            raise self._refused(reply)
        mode = reply.headers.get("x-amz-object-lock-mode", "")
        until = _time(reply.headers.get("x-amz-object-lock-retain-until-date", ""))
        if mode != "COMPLIANCE" or until is None or until <= self._clock():
            raise SinkUnavailable(
                f"{self.name}: {key} is not locked in compliance mode; create the bucket with "
                "object lock, and let the key read retention (s3:GetObjectRetention)"
            )

    async def _request(
        self,
        client: httpx.AsyncClient,
        method: str,
        key: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        path = f"/{self._address.bucket}/{quote(key)}"
        signed = sign_request(
            method,
            self._address.endpoint + path,
            dict(headers or {}),
            body,
            region=self._address.region,
            key_id=self._key_id,
            secret=self._secret,
            now=self._clock(),
        )
        # As signed: httpx would leave some characters of a path unquoted.
        url = httpx.URL(self._address.endpoint).copy_with(raw_path=path.encode())
        return await client.request(method, url, content=body, headers=signed)

    def _refused(self, reply: httpx.Response) -> SinkUnavailable:
        reason = " ".join(reply.text.split())[:_REASON]
        return SinkUnavailable(f"{self.name}: answered with status {reply.status_code} {reason}")


def sign_request(
    method: str,
    url: str,
    headers: dict[str, str],
    body: bytes,
    *,
    region: str,
    key_id: str,
    secret: SecretStr,
    now: datetime,
) -> dict[str, str]:
    """Return the headers with AWS Signature Version 4 for S3, of a URL without a query."""
    parts = urlsplit(url)
    stamp = now.astimezone(UTC).strftime(_STAMP)
    payload = hashlib.sha256(body).hexdigest()
    every = {**headers, "host": parts.netloc, "x-amz-date": stamp, "x-amz-content-sha256": payload}
    names = sorted(every)
    lines = [method, parts.path, "", *(f"{name}:{every[name].strip()}" for name in names)]
    request = "\n".join([*lines, "", ";".join(names), payload])
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
    key = f"AWS4{secret.get_secret_value()}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), hashlib.sha256)
    signature = hmac.digest(key, text.encode(), hashlib.sha256).hex()
    credential = f"Credential={key_id}/{scope}"
    every["authorization"] = (
        f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={';'.join(names)}, Signature={signature}"
    )
    return every


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return None


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
