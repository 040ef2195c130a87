"""What came back over HTTP, and what its status means for the engine."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from orchestrator.domain.errors import ActionError, Rejected, Unavailable, Unknown

_LONGEST_MESSAGE = 300
_LONGEST_WAIT = timedelta(hours=1)
_SECRET_HEADERS = re.compile(r"auth|key|token|cookie|secret", re.IGNORECASE)


@dataclass(frozen=True)
class Reply:
    """A whole reply. `secrets` are what `said` cuts out."""

    status: int
    headers: httpx.Headers
    content: bytes = field(repr=False)
    request: httpx.Request = field(repr=False)
    writes: bool = field(kw_only=True)
    secrets: tuple[str, ...] = field(kw_only=True, default=(), repr=False)

    @property
    def place(self) -> str:
        """Method and path: what messages name."""
        return f"{self.request.method} {self.request.url.path}"

    @property
    def text(self) -> str:
        """The body as UTF-8, whatever is not UTF-8 replaced."""
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON. Raises Unknown after a write, Unavailable after a read, when it is none."""
        try:
            return json.loads(self.content)
        except ValueError:
            raise self.garbage("is not JSON") from None

    def garbage(self, what: str) -> ActionError:
        """The error for a success that cannot be understood: `what` says how it is wrong, such as 'has no job id'."""
        message = f"{self.place}: the reply {what}"
        return Unknown(message) if self.writes else Unavailable(message)

    @property
    def said(self) -> str:
        """What the vendor said, in at most 300 printable characters, without secrets."""
        return self.redacted(self.text)

    def redacted(self, text: str) -> str:
        """The text on one line, bounded, with our secrets and the request's credentials cut out."""
        for secret in sorted({*self.secrets, *self._sent_secrets()}, key=len, reverse=True):
            text = text.replace(secret, "***")
        text = " ".join(
            "".join(character if character.isprintable() else " " for character in text).split()
        )
        return text if len(text) <= _LONGEST_MESSAGE else text[: _LONGEST_MESSAGE - 3] + "..."

    def _sent_secrets(self) -> set[str]:
        values = (
            value
            for name, value in self.request.headers.items()
            if _SECRET_HEADERS.search(name) and name != "idempotency-key"
        )
        return {
            part for value in values for part in value.split() if len(part) > 7
        }  # shorter words are no secrets


RetryAfter = Callable[[Reply], timedelta | None]


def judge_status(
    reply: Reply, ok_statuses: Collection[int], vendor_hook: RetryAfter | None
) -> None:
    """Raises what the status means: Unavailable, Rejected or Unknown."""
    status, place = reply.status, reply.place
    if 200 <= status < 300 or status in ok_statuses:
        return
    if status in {429, 503}:
        message = f"{place}: the system asks to come back later ({status}): {reply.said}"
        raise Unavailable(
            message,
            retry_after=(vendor_hook(reply) if vendor_hook else None) or retry_after(reply.headers),
        )
    if status >= 500:
        message = f"{place}: the system failed ({status}): {reply.said}"
        raise Unknown(message) if reply.writes else Unavailable(message)
    if status in {401, 403}:
        message = f"{place}: the connection's credential is wrong or may not do this ({status}): {reply.said}"
        raise Rejected(message)
    if 300 <= status < 400:
        message = (
            f"{place}: the system redirects ({status}), which is never followed; check base_url"
        )
        raise Rejected(message)
    message = f"{place}: refused ({status}): {reply.said}"
    raise Rejected(message)


def retry_after(headers: httpx.Headers, now: datetime | None = None) -> timedelta | None:
    """Retry-After as seconds or as an HTTP date, between 0 and one hour. None when absent or unreadable."""
    value = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", value):
        return min(timedelta(seconds=int(value)), _LONGEST_WAIT)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return bounded_wait(moment - (now or datetime.now(UTC)))


def bounded_wait(wait: timedelta) -> timedelta:
    """Never in the past, never more than an hour: a vendor's clock may be wrong."""
    return min(max(wait, timedelta()), _LONGEST_WAIT)
