"""Deliveries: what a source sent, as bytes and headers, and the JSON values in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address, ip_network

from orchestrator.domain.alert import Alert
from orchestrator.intake.authenticate import single_headers
from orchestrator.intake.batch import MAX_ALERTS, AlertBatch, RejectedItem
from orchestrator.intake.body import JSON, BodyRefused, parse_json
from orchestrator.intake.coding import decode
from orchestrator.intake.errors import NotAnAlert, Unparseable
from orchestrator.intake.parsers import Parser

ACCEPTED_TYPES = "application/json, application/x-ndjson"
"""What the answer to another content type names."""

_ONE = re.compile(r"(application|text)/([a-z0-9.+-]+\+)?json|text/plain|application/octet-stream")
_LINES = re.compile(r"application/(x-ndjson|ndjson|x-jsonlines|jsonlines|jsonl|x-jsonl|json-seq)")
_FORM = "application/x-www-form-urlencoded"  # what curl sends where no type is given
_MAX_HEADER = 200


@dataclass(frozen=True, slots=True)
class WebhookDelivery:
    """One request of a source."""

    headers: Mapping[str, str]
    body: bytes
    sender: str | None = None
    """The address that the request came from."""

    @classmethod
    def of(
        cls, headers: Iterable[tuple[bytes, bytes]], body: bytes, sender: str | None = None
    ) -> WebhookDelivery:
        """Return a delivery with ASGI headers."""
        return cls(single_headers(headers), body, sender)

    @property
    def content_type(self) -> str:
        """The type of the body; empty where the sender names none."""
        return self.headers.get("content-type", "")[:_MAX_HEADER]

    @property
    def content_encoding(self) -> str:
        """The coding of the body; empty where it is not compressed."""
        return self.headers.get("content-encoding", "")[:_MAX_HEADER]

    def is_from(self, networks: Iterable[str]) -> bool:
        """Return whether the sender is in one of the networks; any is where there are none."""
        allowed = [ip_network(network) for network in networks]
        if not allowed:
            return True
        try:
            address = ip_address((self.sender or "").partition("%")[0])
        except ValueError:
            return False
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in allowed)


@dataclass(frozen=True, slots=True)
class Payloads:
    """The JSON values of a delivery: one, or one for each line."""

    body: bytes
    """The body without its content coding."""
    values: tuple[tuple[int, JSON], ...]
    """The values with the indexes of their lines."""
    rejected: tuple[RejectedItem, ...] = ()
    """The lines that are not JSON."""
    is_lines: bool = False


def read_payloads(delivery: WebhookDelivery, limit: int) -> Payloads:
    """Return the JSON values of a delivery. Raise BodyRefused, and nothing else.

    `limit`: the maximum size in bytes, compressed or not.
    """
    body = decode(delivery.body, delivery.content_encoding, limit)
    kind = delivery.content_type.partition(";")[0].strip().lower()
    if _LINES.fullmatch(kind):
        return _read_lines(body, limit)
    is_form = kind == _FORM and body.lstrip()[:1] in {b"{", b"["}
    if kind and not is_form and not _ONE.fullmatch(kind):
        raise BodyRefused(415, f"content type {kind!a} is not read; send {ACCEPTED_TYPES}")
    try:
        return Payloads(body, ((0, parse_json(body, limit)),))
    except BodyRefused:
        if not _begins_with_object_line(body, limit):
            raise
    return _read_lines(body, limit)


def parse_payloads(parser: Parser, payloads: Payloads, now: datetime) -> AlertBatch:
    """Return the alerts of a delivery, each dedup key once, and what could not be read.

    Raise Unparseable or NotAnAlert where there is no alert.
    """
    if not payloads.is_lines:
        return parser(payloads.values[0][1], now)
    found: dict[str, Alert] = {}
    rejected = list(payloads.rejected)
    telemetry: NotAnAlert | None = None
    for index, value in payloads.values:
        try:
            batch = parser(value, now)
        except Unparseable as refusal:
            rejected.append(RejectedItem(index=index, reason=str(refusal)))
        except NotAnAlert as refusal:
            telemetry = telemetry or refusal
        else:
            rejected += [RejectedItem(index=index, reason=each.reason) for each in batch.rejected]
            for alert in batch:
                found.setdefault(alert.dedup_key, alert)
    rejected.sort(key=lambda item: item.index)
    if found:
        return AlertBatch(tuple(found.values()), tuple(rejected))
    if rejected:
        raise Unparseable(f"line {rejected[0].index + 1}: {rejected[0].reason}")
    raise telemetry or Unparseable("the body holds no line")


def _read_lines(body: bytes, limit: int) -> Payloads:
    lines = [line for line in body.removeprefix(b"\xef\xbb\xbf").splitlines() if line.strip()]
    if len(lines) > MAX_ALERTS:
        raise BodyRefused(422, f"the body holds {len(lines)} lines; the limit is {MAX_ALERTS}")
    values: list[tuple[int, JSON]] = []
    rejected: list[RejectedItem] = []
    first: BodyRefused | None = None
    for index, line in enumerate(lines):
        try:
            values.append((index, parse_json(line.strip(b"\x1e"), limit)))
        except BodyRefused as refusal:
            first = first or refusal
            rejected.append(RejectedItem(index=index, reason=refusal.reason))
    if not values:
        raise first or BodyRefused(400, "the body is empty; send one JSON value per line")
    return Payloads(body, tuple(values), tuple(rejected), is_lines=True)


def _begins_with_object_line(body: bytes, limit: int) -> bool:
    """Return whether a body that is not JSON is lines of JSON that its sender did not announce."""
    first, _, rest = body.strip().partition(b"\n")
    if not rest or not first.startswith(b"{"):
        return False
    try:
        parse_json(first, limit)
    except BodyRefused:
        return False
    return True
