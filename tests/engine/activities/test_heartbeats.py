"""Heartbeats: sent for silent activities, with the last details."""

import asyncio
import dataclasses
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.testing import ActivityEnvironment
from temporalio.worker import (
    ActivityInboundInterceptor,
    ActivityOutboundInterceptor,
    ExecuteActivityInput,
)

from orchestrator.engine.temporal.heartbeats import Heartbeats


class _Runs(ActivityInboundInterceptor):
    """The end of the interceptor chain, in place of the SDK."""

    def __init__(self) -> None:
        self.outbound: Any = None

    def init(self, outbound: ActivityOutboundInterceptor) -> None:
        self.outbound = outbound

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        return await input.fn(self.outbound)


class _Sends(ActivityOutboundInterceptor):
    def __init__(self) -> None:
        pass

    def heartbeat(self, *details: Any) -> None:
        activity.heartbeat(*details)


async def _beats(work: Any, **info: Any) -> list[tuple[Any, ...]]:
    """Return the heartbeats that the server receives while `work` runs."""
    environment, heard = ActivityEnvironment(), []
    environment.info = dataclasses.replace(environment.info, **info)
    environment.on_heartbeat = lambda *details: heard.append(details)

    async def run() -> None:
        chain = Heartbeats().intercept_activity(_Runs())
        chain.init(_Sends())
        await chain.execute_activity(
            ExecuteActivityInput(
                fn=lambda outbound: work(outbound, heard), args=[], executor=None, headers={}
            )
        )

    async with asyncio.timeout(10):
        await environment.run(run)
    return heard


async def _until_heard(heard: list[Any], times: int) -> None:
    while len(heard) < times:
        await asyncio.sleep(0.005)


async def test_silent_activity_sends_heartbeats() -> None:
    heard = await _beats(
        lambda _, heard: _until_heard(heard, 3), heartbeat_timeout=timedelta(seconds=0.03)
    )
    assert heard[:3] == [(), (), ()]


async def test_heartbeats_repeat_the_last_details() -> None:
    async def work(outbound: ActivityOutboundInterceptor, heard: list[Any]) -> None:
        outbound.heartbeat("job 7")
        await _until_heard(heard, 3)

    assert (await _beats(work, heartbeat_timeout=timedelta(seconds=0.03)))[:3] == [("job 7",)] * 3


async def test_details_of_an_earlier_attempt_survive_another_crash() -> None:
    heard = await _beats(
        lambda _, heard: _until_heard(heard, 1),
        heartbeat_timeout=timedelta(seconds=0.03),
        heartbeat_details=["job 7"],
    )
    assert heard[0] == ("job 7",)


async def test_local_activity_has_no_heartbeats() -> None:
    async def work(_: Any, __: Any) -> None:
        await asyncio.sleep(0.05)

    assert await _beats(work, is_local=True, heartbeat_timeout=timedelta(seconds=0.01)) == []
