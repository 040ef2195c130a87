"""What a playbook that is started by hand or by `call` is given: declared inputs as JSON Schema, and values held against them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.domain.errors import Invalid
from orchestrator.domain.observable import CANONICAL, ObservableType
from orchestrator.playbook.compile.schema_fit import Misfit, misfits
from orchestrator.playbook.language.types import STRING
from orchestrator.playbook.language.values import measure
from orchestrator.playbook.plan import InputField

_PLAIN = {
    "text": "string",
    "boolean": "boolean",
    "integer": "integer",
    "number": "number",
    "list": "array",
    "object": "object",
}


def schema_of(fields: Mapping[str, InputField]) -> dict[str, Any]:
    """The JSON Schema of an object of these inputs."""
    return {
        "type": "object",
        "properties": {name: schema_of_one(field) for name, field in fields.items()},
        "required": [
            name for name, field in fields.items() if field.required and field.default is None
        ],
        "additionalProperties": False,
    }


def schema_of_one(field: InputField) -> dict[str, Any]:
    """The JSON Schema of one input."""
    described = {"description": field.description} if field.description else {}
    if field.type in _PLAIN:
        return {"type": _PLAIN[field.type], **described}
    return {"type": "string", "x-observable": field.type, **described}


def accept(fields: Mapping[str, InputField], given: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs of a run: what was given, observables in their canonical spelling, defaults and null for the rest.

    Values are data: a `${{ }}` in one is text. Raises Invalid with all that does not fit.
    """
    if found := _found(fields, given):
        raise Invalid(
            "\n".join(
                f"{misfit.message}; {misfit.mend}" if misfit.mend else misfit.message
                for misfit in found
            )
        )
    measure(dict(given))
    return {
        name: _canonical(field, given.get(name, field.default)) for name, field in fields.items()
    }


def _found(fields: Mapping[str, InputField], given: Mapping[str, Any]) -> list[Misfit]:
    optional = {name for name, field in fields.items() if not field.required}
    present = {
        name: value for name, value in given.items() if not (value is None and name in optional)
    }
    return misfits(present, schema_of(fields), ("inputs",), lambda _text, _path: STRING)


def _canonical(field: InputField, value: Any) -> Any:
    if value is None or field.type in _PLAIN:
        return value
    try:
        return CANONICAL[ObservableType(field.type)](value)
    except ValueError as error:
        raise Invalid(str(error)) from error
