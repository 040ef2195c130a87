"""What do actions take and give? The same models that connectors are held to, so that a rehearsal is refused what a system would refuse."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from connectors.capabilities import CAPABILITIES
from connectors.sdk.capability import ActionSpec
from orchestrator.contracts.messages import ActionCall
from orchestrator.domain.errors import Rejected


@lru_cache(maxsize=256)
def spec_of(capability: str, action: str) -> ActionSpec | None:
    """The signature of an action; None for one that no capability declares."""
    found = (
        spec for each in CAPABILITIES if each.capability == capability for spec in each.actions
    )
    return next((spec for spec in found if spec.name == action), None)


def check_input(call: ActionCall) -> None:
    """Raises Rejected, as a connector does, for what the action does not take."""
    spec = spec_of(call.capability, call.action)
    if spec is None:
        return
    try:
        spec.input.model_validate(call.input)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        said = "; ".join(
            f"{'.'.join(map(str, each['loc'])) or 'input'}: {each['msg']}" for each in problems
        )
        raise Rejected(
            f"{call.connection}.{call.action} does not take this input: {said}"
        ) from None


def whole_output(call: ActionCall, output: Mapping[str, Any]) -> dict[str, Any]:
    """A stub's output with the fields that it left out, as a connector gives them. What does not fit is left as it is."""
    spec = spec_of(call.capability, call.action)
    if spec is None:
        return dict(output)
    try:
        return spec.output.model_validate(output).model_dump(mode="json")
    except ValidationError:
        return dict(
            output
        )  # `check_stubs` tells an author; what was recorded long ago stays what it was
