"""How a connector declares an action: its effect, and the methods that plan, verify and undo it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from orchestrator.domain.change import Effect

Method = TypeVar("Method", bound=Callable[..., Any])
MARK = "__tocsin_action__"


@dataclass(frozen=True, slots=True)
class Declaration:
    """What `@action` was told. Methods are kept by name, so that a subclass may refine them.

    `slow`: a job that is polled and heartbeats. `local`: quick enough to run as a Temporal local activity.
    """

    effect: Effect
    plan: str | None
    undo: str | None
    verify: str | None
    slow: bool
    local: bool


def action(
    effect: Effect,
    *,
    plan: Callable[..., Any] | str | None = None,
    undo: Callable[..., Any] | str | None = None,
    verify: Callable[..., Any] | str | None = None,
    slow: bool = False,
    local: bool = False,
) -> Callable[[Method], Method]:
    """Marks a method as the action of its name.

    A read: `async def lookup_address(self, query: Input, call: Call) -> Output`.
    A change carries out the planned_change that `plan` (`async def plan_x(self, wish: Input, call: Call) -> PlannedVendor`)
    returned: `async def block_address(self, block: PlannedVendor, call: Call) -> Output | None`.
    `undo`: `async def undo_x(self, block: PlannedVendor, call: Call) -> None`.
    `verify`: `async def verify_x(self, wish, planned_change, output: dict, call) -> bool`; without it, planning again must
    find nothing left to change.
    """
    declaration = Declaration(effect, _name(plan), _name(undo), _name(verify), slow, local)

    def mark(method: Method) -> Method:
        setattr(method, MARK, declaration)
        return method

    return mark


def _name(method: Callable[..., Any] | str | None) -> str | None:
    return method if method is None or isinstance(method, str) else method.__name__
