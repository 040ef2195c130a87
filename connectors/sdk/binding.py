"""Binding: checks a connector's actions against its capability when the class is created."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from connectors.sdk.action import MARK, Declaration
from connectors.sdk.call import JsonObject
from connectors.sdk.capability import ActionSpec, Capability, Input
from orchestrator.domain.change import Effect, PlannedChange
from orchestrator.domain.errors import Rejected


@dataclass(frozen=True, slots=True)
class BoundAction:
    """A checked action of a connector. Only a change has a `planned_change` and a `plan`."""

    spec: ActionSpec
    capability: str
    summary: str
    """First line of the method's docstring."""
    planned_change: type[PlannedChange] | None
    plan: str | None
    undo: str | None
    verify: str | None
    undone: str | None
    """Tells whether an undo is complete. Only an action that shares objects has one."""
    slow: bool

    @property
    def shares_objects(self) -> bool:
        """Whether its undo leaves what other containments of the connection still cover."""
        return self.undone is not None

    def parse_input(self, value: JsonObject) -> Input:
        """Return the action's input. Raises Rejected, which names each wrong field but no value."""
        try:
            return self.spec.input.model_validate(value)
        except ValidationError as error:
            message = f"{self.spec.name}: the input is invalid: {_describe(error)}"
            raise Rejected(message) from None

    def parse_planned_change(self, value: JsonObject) -> PlannedChange:
        """Return the planned change in the connector's own type.

        Raises Rejected for a read, and for a planned change of another version of the connector.
        """
        if self.planned_change is None:
            message = f"{self.spec.name} has no planned change"
            raise Rejected(message)
        try:
            return self.planned_change.model_validate(value)
        except ValidationError as error:
            message = (
                f"{self.spec.name}: the planned change is from another version of the connector; "
                f"plan again: {_describe(error)}"
            )
            raise Rejected(message) from None


def _describe(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(
        f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in problems[:5]
    )


def bind_actions(
    connector: type, unsupported: Mapping[str, str], reserved: AbstractSet[str]
) -> dict[str, BoundAction]:
    """Return the connector's actions by name.

    `reserved` are the names of the SDK's own methods, which no action may have. Raises TypeError,
    with the fix, for the first rule that the connector breaks.
    """
    specs = _specs(connector)
    declared = _declared(connector)
    for name in specs.keys() & reserved:
        _refuse(
            connector, name, "has the name of a method of Connector; rename the capability's action"
        )
    for name in declared.keys() - specs.keys():
        _refuse(
            connector,
            name,
            "is not an action of its capability; "
            f"its actions: {', '.join(sorted(specs)) or 'none'}",
        )
    for name in unsupported.keys() - specs.keys():
        _refuse(
            connector,
            name,
            "is listed in `unsupported` but is not an action of its capability; remove it",
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
    marks = (
        (name, getattr(member, MARK, None))
        for name, member in inspect.getmembers(connector, inspect.isfunction)
    )
    return {name: declaration for name, declaration in marks if declaration is not None}


def _bind(connector: type, spec: ActionSpec, declared: Declaration) -> BoundAction:
    name, method = spec.name, getattr(connector, spec.name)
    if not (inspect.getdoc(method) or "").strip():
        _refuse(
            connector,
            name,
            "has no docstring; describe in one line what it does, for the catalogue",
        )
    if declared.effect is not spec.effect:
        _refuse(
            connector,
            name,
            f"declares {declared.effect.value}, but its capability {spec.effect.value}; "
            f"declare Effect.{spec.effect.name}",
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
        undone=declared.undone,
        slow=declared.slow,
    )


def _check_read(connector: type, spec: ActionSpec, declared: Declaration) -> None:
    if declared.plan or declared.undo:
        _refuse(connector, spec.name, "is a read with a plan or an undo; remove them")
    _expect(connector, spec.name, _first_parameter(connector, spec.name), spec.input, "takes")
    _expect(
        connector, spec.name, _hints(connector, spec.name).get("return"), spec.output, "returns"
    )


def _check_change(connector: type, spec: ActionSpec, declared: Declaration) -> type[PlannedChange]:
    name = spec.name
    if declared.plan is None:
        _refuse(
            connector,
            name,
            "is a change without a plan; "
            "add plan=plan_..., a method that only reads and returns a planned change",
        )
    plan = _method(connector, name, "plan", declared.plan)
    planned_change = _first_parameter(connector, name)
    if not (isinstance(planned_change, type) and issubclass(planned_change, PlannedChange)):
        _refuse(
            connector,
            name,
            "does not take a planned change; "
            "its first parameter must be a subclass of PlannedChange",
        )
    _expect(connector, plan, _first_parameter(connector, plan), spec.input, "takes")
    _expect(connector, plan, _hints(connector, plan).get("return"), planned_change, "returns")
    if declared.undo is None and spec.effect is Effect.CONTAIN:
        _refuse(
            connector,
            name,
            "contains without an undo; add undo=undo_..., a method that reverts the planned change",
        )
    if declared.undo is not None:
        undo = _method(connector, name, "undo", declared.undo)
        _expect(connector, undo, _first_parameter(connector, undo), planned_change, "takes")
        _check_keep(connector, name, declared, undo)
    if declared.verify is not None:
        _method(connector, name, "verify", declared.verify)
    return planned_change


def _check_keep(connector: type, name: str, declared: Declaration, undo: str) -> None:
    """Refuse an undo with `keep` and without `undone`, or the reverse."""
    if declared.undone is not None:
        _method(connector, name, "undone", declared.undone)
    keeps = "keep" in inspect.signature(getattr(connector, undo)).parameters
    if keeps is not (declared.undone is not None):
        _refuse(
            connector,
            name,
            "needs both, or neither: an undo that takes `keep`, what others still hold, and "
            "undone=..., a method that tells whether the rest is gone",
        )


def _method(connector: type, name: str, role: str, method: str | None) -> str:
    if method is None or not inspect.iscoroutinefunction(getattr(connector, method, None)):
        _refuse(
            connector,
            name,
            f"names {role}={method}, which is not an async method of the connector; "
            "write it or correct the name",
        )
    return method


def _first_parameter(connector: type, method: str) -> Any:
    function: Callable[..., Any] = getattr(connector, method)
    if not inspect.iscoroutinefunction(function):
        _refuse(connector, method, "is not async; write `async def`")
    parameters = list(inspect.signature(function).parameters)[1:]
    if not parameters:
        _refuse(
            connector,
            method,
            "has no parameters; it takes the input or the planned change, and the call",
        )
    return _hints(connector, method).get(parameters[0])


def _hints(connector: type, method: str) -> dict[str, Any]:
    try:
        return typing.get_type_hints(getattr(connector, method))
    except NameError as error:
        _refuse(
            connector,
            method,
            f"has an annotation that cannot be read ({error}); "
            "define and import its types at module level",
        )


def _expect(connector: type, method: str, annotated: Any, expected: type, verb: str) -> None:
    if annotated is not expected:
        _refuse(
            connector,
            method,
            f"{verb} {getattr(annotated, '__name__', annotated)}, "
            f"but must be annotated to: {verb} {expected.__name__}",
        )


def _refuse(connector: type, method: str, sentence: str) -> typing.NoReturn:
    message = f"{connector.__module__}.{connector.__name__}.{method} {sentence}"
    raise TypeError(message)
