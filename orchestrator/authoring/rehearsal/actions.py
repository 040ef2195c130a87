"""Actions in rehearsals: their names, targets and schemas, as connectors enforce them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from connectors.capabilities import ALL_CAPABILITIES
from connectors.capabilities.own import Own
from connectors.sdk.capability import ActionSpec
from orchestrator.contracts.change import StepCall
from orchestrator.domain.change import Change, Effect
from orchestrator.domain.errors import Rejected
from orchestrator.domain.observable import CANONICAL, ObservableType, Target


def action_name(call: StepCall) -> str:
    """Return the action as a stub is written: `connection.action`."""
    return f"{call.connection}.{call.action}"


def is_own(call: StepCall) -> bool:
    """Return whether Tocsin answers the call itself: without a stub, there is no history."""
    return call.capability == Own.capability


def effect_name(change: Change) -> str:
    """Return the change as tests.yaml writes it: `connection.action target`."""
    name = f"{change.connection}.{change.action}"
    return name if change.effect is Effect.NOTIFY else f"{name} {change.target.value}"


def target_of(call: StepCall) -> Target:
    """Return the target that the input names (`address: ...`), else the system that is called.

    Raises Rejected for a malformed target.
    """
    for kind in ObservableType:
        if isinstance(value := call.input.get(kind.value), str):
            try:
                return Target(type=kind, value=CANONICAL[kind](value))
            except ValueError as error:
                raise Rejected(f"{kind.value}: {error}") from error
    return Target(type=ObservableType.URL, value=f"https://{call.connection}.example/")


@lru_cache(maxsize=256)
def spec_of(capability: str, action: str) -> ActionSpec | None:
    """Return the schemas of an action; None when no capability declares it."""
    found = (
        spec for each in ALL_CAPABILITIES if each.capability == capability for spec in each.actions
    )
    return next((spec for spec in found if spec.name == action), None)


def check_input(call: StepCall) -> None:
    """Raise Rejected, as a connector does, for input that the action does not take."""
    spec = spec_of(call.capability, call.action)
    if spec is None:
        return
    try:
        spec.input.model_validate(call.input)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        text = "; ".join(
            f"{'.'.join(map(str, each['loc'])) or 'input'}: {each['msg']}" for each in problems
        )
        raise Rejected(f"{action_name(call)} does not take this input: {text}") from None


def complete_output(call: StepCall, output: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stub's output with the fields that it left out, as a connector returns them."""
    spec = spec_of(call.capability, call.action)
    if spec is None:
        return dict(output)
    try:
        return spec.output.model_validate(output).model_dump(mode="json")
    except ValidationError:
        # `read_tests` reports it to an author. What was recorded long ago stays as it was.
        return dict(output)
