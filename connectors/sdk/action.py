"""The `@action` decorator: declares an action's effect and its plan, verify and undo methods."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from orchestrator.domain.change import Effect

Method = TypeVar("Method", bound=Callable[..., Any])
MARK = "__tocsin_action__"


@dataclass(frozen=True, slots=True)
class Declaration:
    """Arguments of `@action`. Methods are kept by name, so that a subclass can override them."""

    effect: Effect
    plan: str | None
    undo: str | None
    verify: str | None
    undone: str | None
    slow: bool  # a job that the connector polls; it sends heartbeats and resumes after a crash


def action(
    effect: Effect,
    *,
    plan: Callable[..., Any] | str | None = None,
    undo: Callable[..., Any] | str | None = None,
    verify: Callable[..., Any] | str | None = None,
    undone: Callable[..., Any] | str | None = None,
    slow: bool = False,
) -> Callable[[Method], Method]:
    """Mark a method as the capability's action of the same name.

    A read takes the action's input and returns its output. A change takes what its `plan` returned:

        async def find_host(self, query: HostInput, call: ActionCall) -> HostDetails

        async def plan_block(self, inputs: AddressInput, call: ActionCall) -> Block
        async def block_address(self, block: Block, call: ActionCall) -> None
        async def undo_block(self, block: Block, call: ActionCall) -> None
        async def verify_block(self, inputs, block, output: dict, call) -> bool

    Without `verify`, the SDK plans again and expects that nothing is left to change.

    Where containments of different targets share objects on the system, such as the intervals of a
    set, undo also takes the targets that other containments still hold, and leaves what they cover;
    `undone` tells whether the rest is gone:

        async def undo_block(self, block: Block, call, keep: tuple[Target, ...]) -> None
        async def block_is_undone(self, block: Block, call, keep: tuple[Target, ...]) -> bool

    The signatures are checked when the class is created; see `connectors.sdk.binding`.
    """
    declaration = Declaration(effect, _name(plan), _name(undo), _name(verify), _name(undone), slow)

    def mark(method: Method) -> Method:
        setattr(method, MARK, declaration)
        return method

    return mark


def _name(method: Callable[..., Any] | str | None) -> str | None:
    return method if method is None or isinstance(method, str) else method.__name__
