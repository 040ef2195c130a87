"""The connector under test: what a vendor's test class supplies, and one test case per action."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from connectors.sdk.call import ActionCall
from connectors.sdk.connector import Connector
from connectors.sdk.transport import Access


@dataclass(frozen=True)
class Sample:
    """An input with which the action changes or finds something."""

    input: dict[str, Any]
    prepare: Callable[[Any], None] | None = None
    """Brings the world into a state where it does, such as a ticket that can be closed."""


class ConnectorUnderTest(ABC):
    """A connector, a sample per action, and the world it acts on.

    A world is an emulator or another stand-in for the system, with `effects`, `in_force()`,
    `inject()` and `clear_faults()`; see `connectors.sdk.emulator.Emulator`.
    """

    connector: ClassVar[type[Connector[Any]]]
    samples: ClassVar[dict[str, Sample]]

    @abstractmethod
    def make_world(self) -> Any:
        """Return a new world in its initial state."""

    @abstractmethod
    def open(self, world: Any, access: Access, **settings: Any) -> Connector[Any]:
        """Open the connector on the world, with some settings replaced."""

    def patience(self) -> dict[str, Any]:
        """Return the settings with which a connector that polls gives up at once."""
        return {}

    def prepared(self, action: str) -> tuple[Any, dict[str, Any]]:
        """Return a world in which the action has something to do, and the action's input."""
        world, sample = self.make_world(), self.samples[action]
        if sample.prepare:
            sample.prepare(world)
        return world, sample.input

    async def first_look(
        self, connector: Connector[Any], action: str, inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """Read what the action reads first: its result, or its plan if it is a change."""
        if connector.bound[action].spec.effect.changes:
            return await connector.plan(action, inputs, ActionCall.bare())
        return await connector.read(action, inputs, ActionCall.bare())

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Parametrize a test by its argument: `change`, `lookup`, `undoable` or `any_action`."""
        bound = self.connector.bound
        kinds = {
            "change": [name for name, action in bound.items() if action.spec.effect.changes],
            "lookup": [name for name, action in bound.items() if not action.spec.effect.changes],
            "undoable": [name for name, action in bound.items() if action.undo],
            "any_action": list(bound),
        }
        for argument, actions in kinds.items():
            if argument in metafunc.fixturenames:
                metafunc.parametrize(argument, actions)


def state_of(world: Any) -> tuple[Any, list[dict[str, Any]]]:
    """Return a copy of what is in force and of the effects."""
    return world.in_force(), [dict(effect) for effect in world.effects]
