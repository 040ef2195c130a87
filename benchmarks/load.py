"""Senders in a closed loop: each sends an alert and waits until its address is contained."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from statistics import quantiles

import httpx

Send = Callable[[str], Awaitable[None]]  # an address to be contained


@dataclass
class Measured:
    """One level. Latencies in seconds, from sending to the answer, first call and containment."""

    senders: int
    seconds: float = 0.0
    accepted: list[float] = field(default_factory=list)
    first_call: list[float] = field(default_factory=list)
    contained: list[float] = field(default_factory=list)
    lost: int = 0

    @property
    def rate(self) -> float:
        """Completed runs per second."""
        return len(self.contained) / self.seconds


def percentile(values: list[float], percent: int) -> float:
    """Return a percentile in milliseconds; 0 without values."""
    if len(values) < 2:
        return 1000 * sum(values)
    return 1000 * quantiles(values, n=100, method="inclusive")[percent - 1]


def addresses() -> Iterator[str]:
    """Return the addresses of 198.18.0.0/15, the network reserved for benchmarks."""
    first = int(IPv4Address("198.18.0.1"))
    return (str(IPv4Address(first + number)) for number in itertools.count())


async def load(
    send: Send, target: str, senders: int, seconds: float, fresh: Iterator[str]
) -> Measured:
    """Measure one level, until every sender's last address is contained."""
    found = Measured(senders)
    started = time.monotonic()
    limits = httpx.Limits(max_connections=senders + 1, max_keepalive_connections=senders + 1)
    async with httpx.AsyncClient(base_url=target, timeout=70, limits=limits) as watch:
        await asyncio.gather(
            *(_sender(send, watch, fresh, started + seconds, found) for _ in range(senders))
        )
    found.seconds = time.monotonic() - started
    return found


async def _sender(
    send: Send, watch: httpx.AsyncClient, fresh: Iterator[str], until: float, found: Measured
) -> None:
    while time.monotonic() < until:
        address, sent = next(fresh), time.time()
        await send(address)
        found.accepted.append(time.time() - sent)
        reply = await watch.get(f"/_bench/contained/{address}")
        if reply.status_code != 200:
            found.lost += 1
            continue
        moments = reply.json()
        found.first_call.append(moments["first"] - sent)
        found.contained.append(moments["contained"] - sent)
