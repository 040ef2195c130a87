"""Promises about failures: lost effects are found, false successes and bad replies detected."""

# ruff: noqa: S101  # these are tests

from __future__ import annotations

import pytest

from connectors.contract.under_test import ConnectorUnderTest
from connectors.sdk.call import ActionCall
from connectors.sdk.transport import Access
from orchestrator.domain.errors import Rejected, Unavailable, Unknown


class FailureContract(ConnectorUnderTest):
    """Tests of systems that lose replies, lie about success or answer unreadably."""

    async def test_effect_is_found_after_lost_reply(self, change: str) -> None:
        world, inputs = self.prepared(change)
        async with self.open(world, Access.WRITE) as connector:
            planned_change = await connector.plan(change, inputs, ActionCall.bare())
            world.inject(kind="lost_reply")
            with pytest.raises(Unknown):
                await connector.apply(change, planned_change, ActionCall.bare())
            output = await connector.apply(change, planned_change, ActionCall.bare())
            assert await connector.verify(change, inputs, planned_change, output, ActionCall.bare())
        assert all(effect["count"] == 1 for effect in world.effects)

    async def test_false_success_is_detected(self, change: str) -> None:
        world, inputs = self.prepared(change)
        async with self.open(world, Access.WRITE, **self.patience()) as connector:
            planned_change = await connector.plan(change, inputs, ActionCall.bare())
            world.inject(kind="silent")
            try:
                output = await connector.apply(change, planned_change, ActionCall.bare())
            except (Unknown, Unavailable, Rejected):
                return
            assert not await connector.verify(
                change, inputs, planned_change, output, ActionCall.bare()
            )

    async def test_unreadable_reply_is_not_an_answer(self, any_action: str) -> None:
        world, inputs = self.prepared(any_action)
        world.inject(kind="garbage", times=100)
        async with self.open(world, Access.READ) as connector:
            with pytest.raises((Unavailable, Rejected)):
                await self.first_look(connector, any_action, inputs)

    async def test_unreadable_reply_to_change_requires_a_look(self, change: str) -> None:
        world, inputs = self.prepared(change)
        async with self.open(world, Access.WRITE) as connector:
            planned_change = await connector.plan(change, inputs, ActionCall.bare())
            world.inject(kind="garbage", when="after", times=100)
            with pytest.raises((Unknown, Unavailable)):
                await connector.apply(change, planned_change, ActionCall.bare())
            world.clear_faults()
            output = await connector.apply(change, planned_change, ActionCall.bare())
            assert await connector.verify(change, inputs, planned_change, output, ActionCall.bare())
        assert all(effect["count"] == 1 for effect in world.effects)
