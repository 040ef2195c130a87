"""Promises about effects: reads change nothing, apply is idempotent, undo restores."""

# ruff: noqa: S101  # these are tests

from __future__ import annotations

import pytest

from connectors.contract.under_test import ConnectorUnderTest, state_of
from connectors.sdk.call import ActionCall
from connectors.sdk.connector import Connector
from connectors.sdk.transport import Access
from orchestrator.domain.change import Effect
from orchestrator.domain.errors import Rejected
from orchestrator.domain.observable import Target


class EffectContract(ConnectorUnderTest):
    """Tests of what reads, plans, applies and undos do to the system."""

    def test_every_action_has_a_sample(self) -> None:
        assert set(self.samples) == set(self.connector.bound)

    async def test_credential_is_accepted(self) -> None:
        async with self.open(self.make_world(), Access.READ) as connector:
            assert await connector.check()

    async def test_lookup_answers_and_changes_nothing(self, lookup: str) -> None:
        world, inputs = self.prepared(lookup)
        before = state_of(world)
        async with self.open(world, Access.READ) as connector:
            assert await connector.read(lookup, inputs, ActionCall.bare())
        assert state_of(world) == before

    async def test_plan_changes_nothing(self, change: str) -> None:
        world, inputs = self.prepared(change)
        before = state_of(world)
        async with self.open(world, Access.READ) as connector:
            planned_change = await connector.plan(change, inputs, ActionCall.bare())
        assert planned_change["changed"] is True
        assert state_of(world) == before

    async def test_apply_with_read_access_is_refused_and_changes_nothing(self, change: str) -> None:
        world, inputs = self.prepared(change)
        before = state_of(world)
        async with self.open(world, Access.READ) as connector:
            planned_change = await connector.plan(change, inputs, ActionCall.bare())
            with pytest.raises(Rejected):
                await connector.apply(change, planned_change, ActionCall.bare())
        assert state_of(world) == before

    async def test_plan_after_apply_has_nothing_to_change(self, change: str) -> None:
        world, inputs = self.prepared(change)
        async with self.open(world, Access.WRITE) as connector:
            planned_change = await connector.plan(change, inputs, ActionCall.bare())
            output = await connector.apply(change, planned_change, ActionCall.bare())
            self.connector.bound[change].spec.output.model_validate(output)
            assert await connector.verify(change, inputs, planned_change, output, ActionCall.bare())
            again = await connector.plan(change, inputs, ActionCall.bare())
            assert again["changed"] is False
            assert again["target"] == planned_change["target"]
            before = state_of(world)
            assert await connector.apply(change, again, ActionCall.bare()) == output
            assert state_of(world) == before

    async def test_apply_twice_is_one_effect(self, change: str) -> None:
        world, inputs = self.prepared(change)
        async with self.open(world, Access.WRITE) as connector:
            planned_change = await connector.plan(change, inputs, ActionCall.bare())
            first = await connector.apply(change, planned_change, ActionCall.bare())
            once = world.in_force()
            assert await connector.apply(change, planned_change, ActionCall.bare()) == first
        assert world.in_force() == once
        assert all(effect["count"] == 1 for effect in world.effects)

    async def test_undo_restores_and_second_undo_is_harmless(self, undoable: str) -> None:
        world, inputs = self.prepared(undoable)
        before = world.in_force()
        async with self.open(world, Access.WRITE) as connector:
            planned_change = await connector.plan(undoable, inputs, ActionCall.bare())
            await connector.apply(undoable, planned_change, ActionCall.bare())
            assert world.in_force() != before
            await connector.undo(undoable, planned_change, ActionCall.bare("undo"))
            assert world.in_force() == before
            assert await connector.verify_undone(
                undoable, inputs, planned_change, ActionCall.bare("undo")
            )
            await connector.undo(undoable, planned_change, ActionCall.bare("undo"))
        assert world.in_force() == before

    async def test_undo_leaves_what_other_containments_hold(self, undoable: str) -> None:
        """Only of an action that shares objects: elsewhere, each containment has its own."""
        if not self.connector.bound[undoable].shares_objects:
            return
        world, inputs = self.prepared(undoable)
        before = world.in_force()
        async with self.open(world, Access.WRITE) as connector:
            planned_change = await connector.plan(undoable, inputs, ActionCall.bare())
            await connector.apply(undoable, planned_change, ActionCall.bare())
            held, call = world.in_force(), ActionCall.bare("undo")
            keep = (Target.model_validate(planned_change["target"]),)
            await connector.undo(undoable, planned_change, call, keep)
            assert world.in_force() == held
            assert await connector.verify_undone(undoable, inputs, planned_change, call, keep)
            assert not await connector.verify_undone(undoable, inputs, planned_change, call)
            await connector.undo(undoable, planned_change, call)
            assert await connector.verify_undone(undoable, inputs, planned_change, call)
        assert world.in_force() == before

    async def test_tagged_object_is_listed_until_it_is_undone(self, undoable: str) -> None:
        world, inputs = self.prepared(undoable)
        async with self.open(world, Access.WRITE) as connector:
            planned_change = await connector.plan(undoable, inputs, ActionCall.bare())
            if type(connector).list_tagged is Connector.list_tagged:
                with pytest.raises(Rejected, match="cannot list"):
                    await connector.list_tagged()
                return
            before = await connector.list_tagged()
            await connector.apply(undoable, planned_change, ActionCall.bare())
            added = set(await connector.list_tagged()) - set(before)
            contains = connector.bound[undoable].spec.effect is Effect.CONTAIN
            assert bool(added) is (contains and undoable not in connector.untagged)
            assert all(each.action in connector.bound for each in added)
            await connector.undo(undoable, planned_change, ActionCall.bare("undo"))
            assert set(await connector.list_tagged()) == set(before)

    async def test_undo_keeps_what_existed_before(self, undoable: str) -> None:
        world, inputs = self.prepared(undoable)
        async with self.open(world, Access.WRITE) as connector:
            await connector.apply(
                undoable,
                await connector.plan(undoable, inputs, ActionCall.bare("first")),
                ActionCall.bare("first"),
            )
            before = world.in_force()
            planned_change = await connector.plan(undoable, inputs, ActionCall.bare("second"))
            await connector.apply(undoable, planned_change, ActionCall.bare("second"))
            await connector.undo(undoable, planned_change, ActionCall.bare("second"))
        assert world.in_force() == before
