"""What is refused about a connector at import: each sentence says what is missing and how to mend it."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from connectors.sdk.action import MARK, Declaration
from connectors.sdk.capability import ActionSpec, Capability
from orchestrator.domain.change import Effect, PlannedChange


@dataclass(frozen=True, slots=True)
class BoundAction:
    """One action of one connector, checked. `planned_change` and `plan` are there for every change, and for no read."""

    spec: ActionSpec
    capability: str
    summary: str  # first line of the method's docstring
    planned_change: type[PlannedChange] | None
    plan: str | None
    undo: str | None
    verify: str | None
    slow: bool
    local: bool


def bind_actions(
    connector: type, unsupported: Mapping[str, str], reserved: AbstractSet[str]
) -> dict[str, BoundAction]:
    """Every action of the connector by name; none may be called as one of the sdk's own methods. Raises TypeError with the mend."""
    specs = _specs(connector)
    declared = _declared(connector)
    for name in specs.keys() & reserved:
        _refuse(
            connector,
            name,
            "has the name of a method of Connector; call the capability's action otherwise",
        )
    for name in declared.keys() - specs.keys():
        _refuse(
            connector,
            name,
            f"is no action of its capability; actions there: {', '.join(sorted(specs)) or 'none'}",
        )
    for name in unsupported.keys() - specs.keys():
        _refuse(
            connector,
            name,
            "is listed in `unsupported` but is no action of its capability; take it out",
        )
    for name in specs.keys() - declared.keys() - unsupported.keys():
        _refuse(
            connector,
            name,
            "is missing; implement it with @action, or give the reason in `unsupported`",
        )
    return {
        name: _bind(connector, specs[name], declared[name]) for name in specs if name in declared
    }


def _specs(connector: type) -> dict[str, ActionSpec]:
    return {spec.name: spec for base in _capabilities(connector) for spec in base.actions}


def _capabilities(connector: type) -> list[type[Capability]]:
    return [
        base
        for base in connector.__mro__
        if issubclass(base, Capability) and "capability" in vars(base)
    ]


def _declared(connector: type) -> dict[str, Declaration]:
    found = (
        (name, getattr(member, MARK, None))
        for name, member in inspect.getmembers(connector, inspect.isfunction)
    )
    return {name: declaration for name, declaration in found if declaration is not None}


def _bind(connector: type, spec: ActionSpec, declared: Declaration) -> BoundAction:
    name, method = spec.name, getattr(connector, spec.name)
    if not (inspect.getdoc(method) or "").strip():
        _refuse(
            connector, name, "has no docstring; say in one line what it does, for the catalogue"
        )
    if declared.effect is not spec.effect:
        _refuse(
            connector,
            name,
            f"declares {declared.effect.value}, its capability {spec.effect.value}; declare Effect.{spec.effect.name}",
        )
    planned_change = None
    if spec.effect.changes:
        planned_change = _check_change(connector, spec, declared)
    else:
        _check_read(connector, spec, declared)
    capability = next(base.capability for base in _capabilities(connector) if spec in base.actions)
    return BoundAction(
        spec=spec,
        capability=capability,
        summary=(inspect.getdoc(method) or "").splitlines()[0],
        planned_change=planned_change,
        plan=declared.plan,
        undo=declared.undo,
        verify=declared.verify,
        slow=declared.slow,
        local=declared.local,
    )


def _check_read(connector: type, spec: ActionSpec, declared: Declaration) -> None:
    if declared.plan or declared.undo:
        _refuse(connector, spec.name, "is a read with a plan or an undo; take them off")
    _expect(connector, spec.name, _first(connector, spec.name), spec.input, "takes")
    _expect(
        connector, spec.name, _hints(connector, spec.name).get("return"), spec.output, "returns"
    )


def _check_change(connector: type, spec: ActionSpec, declared: Declaration) -> type[PlannedChange]:
    name = spec.name
    if declared.plan is None:
        _refuse(
            connector,
            name,
            "changes something without a plan; add plan=plan_..., a method that only reads and returns a planned_change",
        )
    plan = _method(connector, name, "plan", declared.plan)
    planned_change = _first(connector, name)
    if not (isinstance(planned_change, type) and issubclass(planned_change, PlannedChange)):
        _refuse(
            connector,
            name,
            "does not take a planned_change; its first parameter must be a subclass of PlannedChange",
        )
    _expect(connector, plan, _first(connector, plan), spec.input, "takes")
    _expect(connector, plan, _hints(connector, plan).get("return"), planned_change, "returns")
    if declared.undo is None and spec.effect is Effect.CONTAIN:
        _refuse(
            connector,
            name,
            "contains without an undo; add undo=undo_..., a method that takes the planned_change back",
        )
    if declared.undo is not None:
        undo = _method(connector, name, "undo", declared.undo)
        _expect(connector, undo, _first(connector, undo), planned_change, "takes")
    if declared.verify is not None:
        _method(connector, name, "verify", declared.verify)
    return planned_change


def _method(connector: type, name: str, part: str, method: str | None) -> str:
    if method is None or not inspect.iscoroutinefunction(getattr(connector, method, None)):
        _refuse(
            connector,
            name,
            f"names {part}={method}, which is no async method of the connector; write it or mend the name",
        )
    return method


def _first(connector: type, method: str) -> Any:
    function: Callable[..., Any] = getattr(connector, method)
    if not inspect.iscoroutinefunction(function):
        _refuse(connector, method, "is not async; write `async def`")
    parameters = list(inspect.signature(function).parameters)[1:]
    if not parameters:
        _refuse(
            connector,
            method,
            "takes nothing; its parameters are the input or the planned_change, and the call",
        )
    return _hints(connector, method).get(parameters[0])


def _hints(connector: type, method: str) -> dict[str, Any]:
    try:
        return typing.get_type_hints(getattr(connector, method))
    except NameError as error:
        _refuse(
            connector,
            method,
            f"has an annotation that cannot be read ({error}); define and import its types at module level",
        )


def _expect(connector: type, method: str, found: Any, wanted: type, verb: str) -> None:
    if found is not wanted:
        _refuse(
            connector,
            method,
            f"{verb} {getattr(found, '__name__', found)}, but must be annotated to: {verb} {wanted.__name__}",
        )


def _refuse(connector: type, method: str, sentence: str) -> typing.NoReturn:
    message = f"{connector.__module__}.{connector.__name__}.{method} {sentence}"
    raise TypeError(message)
