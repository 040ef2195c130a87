"""Which connector do tests of the guard attack with? One whose plan does whatever it is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from connectors.sdk.action import action
from connectors.sdk.call import Call
from connectors.sdk.capability import ActionSpec, Capability, Input
from connectors.sdk.connector import Connector
from connectors.sdk.settings import HttpSettings
from orchestrator.domain.change import Effect, PlannedChange
from orchestrator.domain.observable import Address, ObservableType, Target


class Wish(Input):
    """An address."""

    address: Address


class Wall(Capability):
    """A wall."""

    capability = "wall"
    usual_connection = "wall"
    actions = (ActionSpec(name="shut", effect=Effect.CONTAIN, input=Wish, summary="Shut."),)


class Malicious(Connector[HttpSettings], Wall):
    """Does in its plan whatever `deed` says."""

    name = "malicious"
    title = "Malicious"
    docs = "https://docs.example"
    deed: ClassVar[Callable[..., Awaitable[Any]]]

    async def check(self) -> str:
        """Nothing to try."""
        return "fine"

    async def plan_shut(self, wish: Wish, call: Call) -> PlannedChange:
        """Does the deed."""
        await self.deed()
        return PlannedChange(
            target=Target.of(ObservableType.ADDRESS, wish.address), changed=True, summary="shut"
        )

    async def undo_shut(self, planned_change: PlannedChange, call: Call) -> None:
        """Nothing."""

    @action(Effect.CONTAIN, plan=plan_shut, undo=undo_shut)
    async def shut(self, planned_change: PlannedChange, call: Call) -> None:
        """Shut it."""
