"""HTTP replies, and the error that each status means for the engine."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

import httpx
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser
from pydantic import BaseModel, ValidationError

from orchestrator.domain.errors import ActionError, Rejected, Unavailable, Unknown
from orchestrator.domain.untrusted.nesting import MAX_DEPTH, is_nested_too_deep, parse_bounded_json

M = TypeVar("M", bound=BaseModel)
_LONGEST_MESSAGE = 300
_LONGEST_WAIT = timedelta(hours=1)
_SECRET_HEADERS = re.compile(r"auth|key|token|cookie|secret", re.IGNORECASE)


@dataclass(frozen=True)
class HttpReply:
    """A complete HTTP reply."""

    status: int
    headers: httpx.Headers
    content: bytes = field(repr=False)
    request: httpx.Request = field(repr=False)
    writes: bool = field(kw_only=True)
    """Whether the request was a write: then an unreadable reply means Unknown, not Unavailable."""
    secrets: tuple[str, ...] = field(kw_only=True, default=(), repr=False)
    """Removed from every text that `redact` returns."""

    @property
    def endpoint(self) -> str:
        """Method and path, as messages name them."""
        return f"{self.request.method} {self.request.url.path}"

    @property
    def text(self) -> str:
        """The body as UTF-8; invalid bytes are replaced."""
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """Return the body as JSON. Raises Unknown after a write, Unavailable after a read."""
        try:
            return parse_bounded_json(self.content)
        except ValueError:
            raise self.unreadable("is not JSON") from None

    def parse(self, model: type[M]) -> M:
        """Return the body as a model. Raises Unknown after a write, Unavailable after a read."""
        if is_nested_too_deep(self.content):
            raise self.unreadable(f"nests deeper than {MAX_DEPTH} levels")
        try:
            return model.model_validate_json(self.content)
        except ValidationError as error:
            place = ".".join(map(str, error.errors(include_url=False)[0]["loc"]))
            raise self.unreadable(f"has no valid {place}" if place else "is not JSON") from None

    def xml(self) -> Element:
        """Return the root of the body as XML. Raises Unknown after a write, else Unavailable.

        A document type, an entity and deep nesting are refused in every encoding.
        """
        try:
            return _parse_xml(self.content)
        except ValueError as error:
            raise self.unreadable(str(error)) from None

    def unreadable(self, problem: str) -> ActionError:
        """Return the error for an unreadable success: Unknown for a write, else Unavailable.

        `problem` completes the sentence "the reply ...", such as "has no job id".
        """
        message = f"{self.endpoint}: the reply {problem}"
        return Unknown(message) if self.writes else Unavailable(message)

    @property
    def excerpt(self) -> str:
        """The first 300 printable characters of the body, without secrets."""
        return self.redact(self.text)

    def redact(self, text: str) -> str:
        """Return the text on one line, at most 300 characters, without secrets and credentials."""
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
        }  # shorter words, such as `Bearer`, are not secrets


RetryAfter = Callable[[HttpReply], timedelta | None]


def check_status(
    reply: HttpReply, ok_statuses: Collection[int], vendor_hook: RetryAfter | None
) -> None:
    """Raise the error that the status means: Unavailable, Rejected or Unknown.

    A 2xx status and those in `ok_statuses` pass. `vendor_hook` reads the vendor's own wait time.
    """
    status, endpoint = reply.status, reply.endpoint
    if 200 <= status < 300 or status in ok_statuses:
        return
    if status in {429, 503}:
        message = f"{endpoint}: the system is busy, try again later ({status}): {reply.excerpt}"
        raise Unavailable(
            message,
            retry_after=(vendor_hook(reply) if vendor_hook else None) or retry_after(reply.headers),
        )
    if status >= 500:
        message = f"{endpoint}: the system failed ({status}): {reply.excerpt}"
        raise Unknown(message) if reply.writes else Unavailable(message)
    if status in {401, 403}:
        message = (
            f"{endpoint}: the connection's credential is wrong or lacks permission ({status}): "
            f"{reply.excerpt}"
        )
        raise Rejected(message)
    if 300 <= status < 400:
        message = (
            f"{endpoint}: the system redirects ({status}), and redirects are not followed; "
            "check base_url"
        )
        raise Rejected(message)
    message = f"{endpoint}: refused ({status}): {reply.excerpt}"
    raise Rejected(message)


def retry_after(headers: httpx.Headers, now: datetime | None = None) -> timedelta | None:
    """Return the wait in Retry-After (seconds or an HTTP date), between 0 and one hour.

    None when the header is absent or unreadable.
    """
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
    """Return the wait, limited to the range from 0 to one hour: a vendor's clock may be wrong."""
    return min(max(wait, timedelta()), _LONGEST_WAIT)


class _BoundedBuilder(TreeBuilder):
    """A tree builder that refuses deep nesting while it reads."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0

    def start(self, tag: Any, attrs: Any, /) -> Any:
        """Open an element. Raise ValueError when it is too deep."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            message = f"nests deeper than {MAX_DEPTH} levels"
            raise ValueError(message)
        return super().start(tag, attrs)

    def end(self, tag: Any, /) -> Any:
        """Close an element."""
        self._depth -= 1
        return super().end(tag)


def _parse_xml(content: bytes) -> Element:
    """Return the root element. Raise ValueError, whose message completes `the reply ...`."""
    parser = DefusedXMLParser(target=_BoundedBuilder(), forbid_dtd=True)
    try:
        parser.feed(content)
        root: Element = parser.close()
    except DefusedXmlException:
        message = "declares a document type or entities"
        raise ValueError(message) from None
    except (ParseError, LookupError):
        message = "is not XML"
        raise ValueError(message) from None
    return root
