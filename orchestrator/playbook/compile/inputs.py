"""Inputs of a playbook that is started by hand or by `call`: their JSON Schema and their values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.domain.errors import Invalid
from orchestrator.domain.observable import CANONICAL, ObservableType
from orchestrator.playbook.compile.schema_fit import SchemaMismatch, schema_mismatches
from orchestrator.playbook.language.types import STRING
from orchestrator.playbook.language.values import check_value
from orchestrator.playbook.plan import InputField

_PLAIN = {
    "text": "string",
    "boolean": "boolean",
    "integer": "integer",
    "number": "number",
    "list": "array",
    "object": "object",
}


def inputs_schema(fields: Mapping[str, InputField]) -> dict[str, Any]:
    """Return the JSON Schema of an object of these inputs."""
    return {
        "type": "object",
        "properties": {name: input_schema(field) for name, field in fields.items()},
        "required": [
            name for name, field in fields.items() if field.required and field.default is None
        ],
        "additionalProperties": False,
    }


def input_schema(field: InputField) -> dict[str, Any]:
    """Return the JSON Schema of one input."""
    described = {"description": field.description} if field.description else {}
    if field.type in _PLAIN:
        return {"type": _PLAIN[field.type], **described}
    return {"type": "string", "x-observable": field.type, **described}


def accept_inputs(fields: Mapping[str, InputField], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs of a run, with observables in canonical form and defaults filled in.

    Values are data: a `${{ }}` in one is text. Raises Invalid with every mismatch.
    """
    if mismatches := _mismatches(fields, given):
        raise Invalid(
            "\n".join(
                f"{mismatch.message}; {mismatch.fix}" if mismatch.fix else mismatch.message
                for mismatch in mismatches
            )
        )
    check_value(dict(given))
    return {
        name: _canonical(field, given.get(name, field.default)) for name, field in fields.items()
    }


def _mismatches(fields: Mapping[str, InputField], given: Mapping[str, Any]) -> list[SchemaMismatch]:
    optional = {name for name, field in fields.items() if not field.required}
    present = {
        name: value for name, value in given.items() if not (value is None and name in optional)
    }
    return schema_mismatches(
        present, inputs_schema(fields), ("inputs",), lambda _text, _path: STRING
    )


def _canonical(field: InputField, value: Any) -> Any:
    if value is None or field.type in _PLAIN:
        return value
    try:
        return CANONICAL[ObservableType(field.type)](value)
    except ValueError as error:
        raise Invalid(str(error)) from error
