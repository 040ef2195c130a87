"""How does the plain JSON of the engine become a connector's models, and they JSON again?"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from connectors.sdk.capability import Output
from connectors.sdk.declared import BoundAction
from orchestrator.domain.change import PlannedChange
from orchestrator.domain.errors import Rejected

JsonObject = dict[str, Any]


def as_model(model: type[Any], value: JsonObject, action: str) -> Any:
    """The input of an action. Raises Rejected naming each wrong field, never its value."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        message = f"{action}: the input does not fit: {_problems(error)}"
        raise Rejected(message) from None


def planned_change_of(bound: BoundAction, value: JsonObject, action: str) -> PlannedChange:
    """The planned_change of an action, as this version of its connector knows it. Raises Rejected."""
    if bound.planned_change is None:
        message = f"{action} has no planned_change"
        raise Rejected(message)
    try:
        return bound.planned_change.model_validate(value)
    except ValidationError as error:
        message = f"{action}: the planned_change was made by another version of the connector: {_problems(error)}"
        raise Rejected(message) from None


def _problems(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(
        f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in found[:5]
    )


def as_json(model: Output | PlannedChange) -> JsonObject:
    """As plain JSON."""
    return model.model_dump(mode="json")
