"""Rates of requests, by key, source and address: token buckets, in bounded memory.

The headers are those of draft-ietf-httpapi-ratelimit-headers. Each API process counts for itself.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from typing import NamedTuple

from starlette.exceptions import HTTPException
from starlette.types import Scope

from orchestrator.settings import Settings

WINDOW = 60
"""Seconds in which an empty bucket fills."""
MAX_BUCKETS = 10_000
"""Of each policy; the one that was used longest ago is forgotten first, and is full by then."""

_DECISION = "tocsin.rate"
_REASONS = {
    "address": "too many requests from this address; wait for the seconds of Retry-After",
    "key": "too many requests with this key; wait for the seconds of Retry-After",
    "source": "too many deliveries to this source; wait for the seconds of Retry-After",
    "failures": "too many requests without valid credentials from this address; "
    "wait for the seconds of Retry-After",
}


class RateDecision(NamedTuple):
    """Whether a request is within its rate, and what its client learns of that."""

    policy: str
    quota: int
    remaining: int
    seconds: int
    """Until the bucket is full, or, over the rate, until the next request is accepted."""
    allowed: bool

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the response."""
        found = {
            "RateLimit-Policy": f'"{self.policy}";q={self.quota};w={WINDOW}',
            "RateLimit": f'"{self.policy}";r={self.remaining};t={self.seconds}',
        }
        return found if self.allowed else {**found, "Retry-After": str(self.seconds)}


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class RatePolicy:
    """The rate of one kind of client: `quota` requests in a window, at once if need be."""

    def __init__(self, name: str, quota: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.name, self.quota, self._clock = name, quota, clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, client: str) -> RateDecision | None:
        """Count a request. Return the decision; None where the rate is not limited."""
        if not self.quota:
            return None
        now = self._clock()
        bucket = self._buckets.setdefault(client, _Bucket(float(self.quota), now))
        self._buckets.move_to_end(client)
        if len(self._buckets) > MAX_BUCKETS:
            self._buckets.popitem(last=False)
        per_second = self.quota / WINDOW
        bucket.tokens = min(self.quota, bucket.tokens + (now - bucket.at) * per_second)
        bucket.at = now
        allowed = bucket.tokens >= 1
        if allowed:
            bucket.tokens -= 1
            missing = self.quota - bucket.tokens
        else:
            missing = 1 - bucket.tokens
        seconds = max(1, math.ceil(missing / per_second))
        return RateDecision(self.name, self.quota, int(bucket.tokens), seconds, allowed)


class Rates:
    """The rates of an API process."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self.address = RatePolicy("address", settings.rate_limit_address, clock)
        self.key = RatePolicy("key", settings.rate_limit_key, clock)
        self.source = RatePolicy("source", settings.rate_limit_source, clock)
        self.failures = RatePolicy("failures", settings.rate_limit_failures, clock)


class RateExceeded(HTTPException):
    """A request over its rate."""

    def __init__(self, policy: RatePolicy) -> None:
        super().__init__(429, _REASONS[policy.name])


def spend(scope: Scope, policy: RatePolicy, client: str) -> None:
    """Count a request, for the headers of its response too. Raise RateExceeded.

    The last policy that is asked shows in the headers, which is the most specific.
    """
    decision = policy.take(client)
    if decision is None:
        return
    scope[_DECISION] = decision
    if not decision.allowed:
        raise RateExceeded(policy)


def noted(scope: Scope) -> RateDecision | None:
    """Return the decision that the response shows."""
    found: RateDecision | None = scope.get(_DECISION)
    return found


def address_of(scope: Scope) -> str:
    """Return the client's address; of IPv6 the network, as a client chooses the rest."""
    text = scope["client"][0] if scope.get("client") else ""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return text
    if isinstance(address, IPv6Address):
        return str(ip_network((address, 64), strict=False))
    return str(address)
