"""The catalogue of actions for `use:`, with the JSON Schemas of their inputs and results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.domain.change import Effect
from orchestrator.domain.model import Frozen
from orchestrator.playbook.problems import did_you_mean


class ActionType(Frozen):
    """The signature of one action of a connection, with schemas as pydantic writes them."""

    connection: str
    capability: str
    action: str
    effect: Effect
    summary: str
    input_schema: dict[str, Any]
    result_schema: dict[str, Any]  # of `steps.ID`, once the step is done
    slow: bool = False
    """Whether it is a vendor's job that is polled: by this connection's connector, or by any
    connector where none is bound."""

    @property
    def name(self) -> str:
        """The name that an author writes: `connection.action`."""
        return f"{self.connection}.{self.action}"


class Catalogue(Frozen):
    """The actions that a playbook can use, by `connection.action`."""

    actions: Mapping[str, ActionType] = {}

    @classmethod
    def of(cls, actions: Iterable[ActionType]) -> Catalogue:
        """Build a catalogue of these actions."""
        return cls(actions={action.name: action for action in actions})

    def get(self, name: str) -> ActionType | None:
        """Return the action named `connection.action`, if it exists."""
        return self.actions.get(name)

    def suggest(self, name: str) -> str | None:
        """Return what to write instead of an unknown action."""
        connection, _, action = name.partition(".")
        known = {found.connection for found in self.actions.values()}
        if connection not in known:
            return (
                did_you_mean(name, self.actions)
                or f"the connections are {', '.join(sorted(known))}"
            )
        own = [found.action for found in self.actions.values() if found.connection == connection]
        return (
            did_you_mean(action, own) or f"the actions of {connection} are {', '.join(sorted(own))}"
        )
