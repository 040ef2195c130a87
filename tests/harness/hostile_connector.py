"""A connector whose plan runs any code, with which tests attack the write guard."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from connectors.sdk.action import action
from connectors.sdk.call import ActionCall
from connectors.sdk.capability import ActionSpec, Capability, Input
from connectors.sdk.connector import Connector
from connectors.sdk.settings import HttpSettings
from orchestrator.domain.change import Effect, PlannedChange
from orchestrator.domain.observable import Address, ObservableType, Target


class GateInput(Input):
    """An address."""

    address: Address


class Gate(Capability):
    """A system with one action."""

    capability = "gate"
    default_connection = "gate"
    actions = (ActionSpec(name="shut", effect=Effect.CONTAIN, input=GateInput, summary="Shut it."),)


class HostileConnector(Connector[HttpSettings], Gate):
    """Runs `attack` during its plan."""

    name = "hostile"
    title = "Hostile"
    docs = "https://docs.example"
    attack: ClassVar[Callable[..., Awaitable[Any]]]

    async def check(self) -> str:
        """Test nothing."""
        return "fine"

    async def plan_shut(self, inputs: GateInput, call: ActionCall) -> PlannedChange:
        """Run the attack."""
        await self.attack()
        return PlannedChange(
            target=Target.of(ObservableType.ADDRESS, inputs.address), changed=True, summary="shut"
        )

    async def undo_shut(self, planned_change: PlannedChange, call: ActionCall) -> None:
        """Do nothing."""

    @action(Effect.CONTAIN, plan=plan_shut, undo=undo_shut)
    async def shut(self, planned_change: PlannedChange, call: ActionCall) -> None:
        """Shut it."""
