"""What `use:` can name: every action of every connection, with the JSON Schemas of what it takes and gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.domain.change import Effect
from orchestrator.domain.model import Frozen
from orchestrator.playbook.problems import did_you_mean


class ActionType(Frozen):
    """The signature of one action as a connection offers it. Schemas are JSON Schema, as pydantic writes it."""

    connection: str
    capability: str
    action: str
    effect: Effect
    summary: str
    input_schema: dict[str, Any]
    result_schema: dict[str, Any]  # of `steps.ID`, once the step is done
    slow: bool = False  # a vendor's job that is polled, of this connection's connector or (where none is bound) of any

    @property
    def name(self) -> str:
        """How an author writes it: `connection.action`."""
        return f"{self.connection}.{self.action}"


class Catalogue(Frozen):
    """All actions by `connection.action`."""

    actions: Mapping[str, ActionType] = {}

    @classmethod
    def of(cls, actions: Iterable[ActionType]) -> Catalogue:
        """A catalogue of these; whoever knows the connectors builds them."""
        return cls(actions={action.name: action for action in actions})

    def get(self, name: str) -> ActionType | None:
        """The action named `connection.action`."""
        return self.actions.get(name)

    def mend(self, name: str) -> str | None:
        """What to write instead of a name that is not there."""
        connection, _, action = name.partition(".")
        known = {found.connection for found in self.actions.values()}
        if connection not in known:
            return (
                did_you_mean(name, self.actions)
                or f"there are the connections {', '.join(sorted(known))}"
            )
        own = [found.action for found in self.actions.values() if found.connection == connection]
        return did_you_mean(action, own) or f"{connection} has: {', '.join(sorted(own))}"
