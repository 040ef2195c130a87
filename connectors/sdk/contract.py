"""The contract that every connector keeps, inherited by `tests/connectors/test_<vendor>.py`: one test per promise."""

# ruff: noqa: S101, PT017  # these are tests

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

import pytest

from connectors.sdk.call import Call
from connectors.sdk.connector import Connector
from connectors.sdk.emulator import Emulator, EmulatorTransport
from connectors.sdk.open import open_connector
from connectors.sdk.settings import secret_fields
from connectors.sdk.transport import Access
from orchestrator.domain.change import Effect
from orchestrator.domain.errors import ActionError, Rejected, Unavailable, Unknown


@dataclass(frozen=True)
class Sample:
    """An input with which the action has something to do. `prepare` brings the emulator there first (a ticket to close)."""

    input: dict[str, Any]
    prepare: Callable[[Any], None] | None = None


class ConnectorContract(ABC):
    """Subclass it as `TestX`, give `connector`, `samples` (one per supported action) and `world()`.

    The world is the emulator, or whatever stands in for the system: `effects`, `in_force()`, `inject()`, `clear_faults()`.
    """

    connector: ClassVar[type[Connector[Any]]]
    samples: ClassVar[dict[str, Sample]]

    @abstractmethod
    def world(self) -> Any:
        """A fresh system, in its first state."""

    @abstractmethod
    def open(self, world: Any, access: Access, **settings: Any) -> Connector[Any]:
        """The connector, opened on that world with some settings replaced."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One test per action of the right kind."""
        kinds: dict[str, Callable[[Effect], bool]] = {
            "change": lambda effect: effect.changes,
            "lookup": lambda effect: not effect.changes,
            "any_action": lambda _effect: True,
        }
        for name, fits in kinds.items():
            if name in metafunc.fixturenames:
                actions = [
                    action
                    for action, bound in self.connector.bound.items()
                    if fits(bound.spec.effect)
                ]
                metafunc.parametrize(name, actions)
        if "undoable" in metafunc.fixturenames:
            metafunc.parametrize(
                "undoable", [action for action, bound in self.connector.bound.items() if bound.undo]
            )

    def prepared(self, action: str) -> tuple[Any, dict[str, Any]]:
        """A world in which the action has something to do, and the input."""
        world, sample = self.world(), self.samples[action]
        if sample.prepare:
            sample.prepare(world)
        return world, sample.input

    def test_there_is_a_sample_for_every_action(self) -> None:
        assert set(self.samples) == set(self.connector.bound)

    async def test_the_credential_is_accepted(self) -> None:
        async with self.open(self.world(), Access.READ) as connector:
            assert await connector.check()

    async def test_a_lookup_answers_and_changes_nothing(self, lookup: str) -> None:
        world, given = self.prepared(lookup)
        before = _look(world)
        async with self.open(world, Access.READ) as connector:
            assert await connector.read(lookup, given, Call.bare())
        assert _look(world) == before

    async def test_a_plan_changes_nothing(self, change: str) -> None:
        world, given = self.prepared(change)
        before = _look(world)
        async with self.open(world, Access.READ) as connector:
            planned_change = await connector.plan(change, given, Call.bare())
        assert planned_change["changed"] is True
        assert _look(world) == before

    async def test_applying_with_read_access_is_refused_and_changes_nothing(
        self, change: str
    ) -> None:
        world, given = self.prepared(change)
        before = _look(world)
        async with self.open(world, Access.READ) as connector:
            planned_change = await connector.plan(change, given, Call.bare())
            with pytest.raises(Rejected):
                await connector.apply(change, planned_change, Call.bare())
        assert _look(world) == before

    async def test_after_apply_nothing_is_left_to_change(self, change: str) -> None:
        world, given = self.prepared(change)
        async with self.open(world, Access.WRITE) as connector:
            planned_change = await connector.plan(change, given, Call.bare())
            output = await connector.apply(change, planned_change, Call.bare())
            self.connector.bound[change].spec.output.model_validate(output)
            assert await connector.verify(change, given, planned_change, output, Call.bare())
            again = await connector.plan(change, given, Call.bare())
            assert again["changed"] is False
            assert again["target"] == planned_change["target"]
            before = _look(world)
            assert await connector.apply(change, again, Call.bare()) == output
            assert _look(world) == before

    async def test_apply_twice_is_one_effect(self, change: str) -> None:
        world, given = self.prepared(change)
        async with self.open(world, Access.WRITE) as connector:
            planned_change = await connector.plan(change, given, Call.bare())
            first = await connector.apply(change, planned_change, Call.bare())
            once = world.in_force()
            assert await connector.apply(change, planned_change, Call.bare()) == first
        assert world.in_force() == once
        assert all(effect["count"] == 1 for effect in world.effects)

    async def test_undo_restores_and_a_second_undo_is_harmless(self, undoable: str) -> None:
        world, given = self.prepared(undoable)
        before = world.in_force()
        async with self.open(world, Access.WRITE) as connector:
            planned_change = await connector.plan(undoable, given, Call.bare())
            await connector.apply(undoable, planned_change, Call.bare())
            assert world.in_force() != before
            await connector.undo(undoable, planned_change, Call.bare("undo"))
            assert world.in_force() == before
            assert await connector.verify_undone(undoable, given, planned_change, Call.bare("undo"))
            await connector.undo(undoable, planned_change, Call.bare("undo"))
        assert world.in_force() == before

    async def test_what_we_made_is_listed_by_its_tag_until_it_is_taken_back(
        self, undoable: str
    ) -> None:
        world, given = self.prepared(undoable)
        async with self.open(world, Access.WRITE) as connector:
            planned_change = await connector.plan(undoable, given, Call.bare())
            if type(connector).tagged is Connector.tagged:
                with pytest.raises(Rejected, match="cannot list"):
                    await connector.tagged()
                return
            before = await connector.tagged()
            await connector.apply(undoable, planned_change, Call.bare())
            made = set(await connector.tagged()) - set(before)
            contains = connector.bound[undoable].spec.effect is Effect.CONTAIN
            assert bool(made) is (contains and undoable not in connector.untagged)
            assert all(each.action in connector.bound for each in made)
            await connector.undo(undoable, planned_change, Call.bare("undo"))
            assert set(await connector.tagged()) == set(before)

    async def test_undo_leaves_alone_what_was_there_before_us(self, undoable: str) -> None:
        world, given = self.prepared(undoable)
        async with self.open(world, Access.WRITE) as connector:
            await connector.apply(
                undoable,
                await connector.plan(undoable, given, Call.bare("other")),
                Call.bare("other"),
            )
            before = world.in_force()
            planned_change = await connector.plan(undoable, given, Call.bare("ours"))
            await connector.apply(undoable, planned_change, Call.bare("ours"))
            await connector.undo(undoable, planned_change, Call.bare("ours"))
        assert world.in_force() == before

    async def test_after_a_lost_reply_the_effect_is_found(self, change: str) -> None:
        world, given = self.prepared(change)
        async with self.open(world, Access.WRITE) as connector:
            planned_change = await connector.plan(change, given, Call.bare())
            world.inject(kind="lost_reply")
            with pytest.raises(Unknown):
                await connector.apply(change, planned_change, Call.bare())
            output = await connector.apply(change, planned_change, Call.bare())
            assert await connector.verify(change, given, planned_change, output, Call.bare())
        assert all(effect["count"] == 1 for effect in world.effects)

    async def test_a_system_that_lies_about_success_is_caught(self, change: str) -> None:
        world, given = self.prepared(change)
        async with self.open(world, Access.WRITE, **self.patience()) as connector:
            planned_change = await connector.plan(change, given, Call.bare())
            world.inject(kind="silent")
            try:
                output = await connector.apply(change, planned_change, Call.bare())
            except (Unknown, Unavailable, Rejected):
                return
            assert not await connector.verify(change, given, planned_change, output, Call.bare())

    async def test_garbage_for_a_reply_is_never_taken_for_an_answer(self, any_action: str) -> None:
        world, given = self.prepared(any_action)
        world.inject(kind="garbage", times=100)
        async with self.open(world, Access.READ) as connector:
            with pytest.raises((Unavailable, Rejected)):
                await self._first_look(connector, any_action, given)

    async def test_garbage_after_a_change_means_look_first(self, change: str) -> None:
        world, given = self.prepared(change)
        async with self.open(world, Access.WRITE) as connector:
            planned_change = await connector.plan(change, given, Call.bare())
            world.inject(kind="garbage", when="after", times=100)
            with pytest.raises((Unknown, Unavailable)):
                await connector.apply(change, planned_change, Call.bare())
            world.clear_faults()
            output = await connector.apply(change, planned_change, Call.bare())
            assert await connector.verify(change, given, planned_change, output, Call.bare())
        assert all(effect["count"] == 1 for effect in world.effects)

    def patience(self) -> dict[str, Any]:
        """Settings that make a connector that polls give up at once; none for most."""
        return {}

    async def _first_look(
        self, connector: Connector[Any], action: str, given: dict[str, Any]
    ) -> dict[str, Any]:
        if connector.bound[action].spec.effect.changes:
            return await connector.plan(action, given, Call.bare())
        return await connector.read(action, given, Call.bare())


class HttpConnectorContract(ConnectorContract):
    """The contract of a connector that speaks HTTP to an `Emulator`."""

    emulator: ClassVar[type[Emulator]]

    def world(self) -> Any:
        """A fresh emulator."""
        return self.emulator()

    def open(self, world: Any, access: Access, **settings: Any) -> Connector[Any]:
        """The connector on that emulator, inside this process."""
        given = {**self.emulator.settings("http://127.0.0.1:1"), **settings}
        return open_connector(self.connector, given, access, EmulatorTransport(world))

    @pytest.mark.parametrize("status", [429, 503])
    async def test_a_busy_system_is_unavailable_for_as_long_as_it_says(
        self, any_action: str, status: int
    ) -> None:
        world, given = self.prepared(any_action)
        world.inject(kind="status", status=status, retry_after=7, times=100)
        async with self.open(world, Access.READ) as connector:
            with pytest.raises(Unavailable) as caught:
                await self._first_look(connector, any_action, given)
        assert caught.value.retry_after == timedelta(seconds=7)

    async def test_a_failing_system_is_unavailable_to_a_reader(self, any_action: str) -> None:
        world, given = self.prepared(any_action)
        world.inject(kind="status", status=500, times=100)
        async with self.open(world, Access.READ) as connector:
            with pytest.raises(Unavailable):
                await self._first_look(connector, any_action, given)

    async def test_a_failure_after_a_change_means_look_first(self, change: str) -> None:
        world, given = self.prepared(change)
        async with self.open(world, Access.WRITE) as connector:
            planned_change = await connector.plan(change, given, Call.bare())
            world.inject(kind="status", status=500, when="after", times=100)
            with pytest.raises((Unknown, Unavailable)):
                await connector.apply(change, planned_change, Call.bare())
            world.clear_faults()
            output = await connector.apply(change, planned_change, Call.bare())
            assert await connector.verify(change, given, planned_change, output, Call.bare())
        assert all(effect["count"] == 1 for effect in world.effects)

    async def test_a_reply_that_ends_in_the_middle_is_unavailable_to_a_reader(
        self, any_action: str
    ) -> None:
        world, given = self.prepared(any_action)
        world.inject(kind="half_closed", times=100)
        async with self.open(world, Access.READ) as connector:
            with pytest.raises(Unavailable):
                await self._first_look(connector, any_action, given)

    async def test_a_system_that_does_not_answer_in_time_is_unavailable_to_a_reader(
        self, any_action: str
    ) -> None:
        world, given = self.prepared(any_action)
        world.inject(kind="latency", seconds=30, times=100)
        async with self.open(world, Access.READ, timeout_seconds=0.05) as connector:
            with pytest.raises(Unavailable):
                await self._first_look(connector, any_action, given)

    async def test_a_wrong_credential_is_rejected_and_no_secret_is_told(
        self, any_action: str
    ) -> None:
        world, given = self.prepared(any_action)
        wrong = dict.fromkeys(secret_fields(self.connector.settings_type), "wrong-secret-5ab1e")
        async with self.open(world, Access.READ, **wrong) as connector:
            with pytest.raises(Rejected, match="credential") as caught:
                await self._first_look(connector, any_action, given)
            with pytest.raises(Rejected, match="credential") as checked:
                await connector.check()
        assert "wrong-secret-5ab1e" not in f"{caught.value!r} {checked.value!r}"

    async def test_no_error_text_holds_a_secret(self, any_action: str) -> None:
        secrets = [
            value
            for name in secret_fields(self.connector.settings_type)
            if (value := self._setting(name))
        ]
        for status in (400, 403, 404, 409, 429, 500):
            world, given = self.prepared(any_action)
            world.inject(kind="status", status=status, times=100)
            async with self.open(world, Access.READ) as connector:
                try:
                    await self._first_look(connector, any_action, given)
                except ActionError as error:
                    assert not any(secret in f"{error!r}" for secret in secrets)

    def _setting(self, name: str) -> str | None:
        value = self.emulator.settings("http://127.0.0.1:1").get(name)
        return value if isinstance(value, str) else None


def _look(world: Any) -> tuple[Any, list[dict[str, Any]]]:
    """What is in force and what was done, as it is now."""
    return world.in_force(), [dict(effect) for effect in world.effects]
