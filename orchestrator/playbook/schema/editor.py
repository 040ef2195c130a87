"""The JSON Schema with which editors complete and check playbooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.playbook.catalogue import ActionType, Catalogue
from orchestrator.playbook.schema.playbook import PlaybookSpec

Schema = dict[str, Any]

_TEMPLATE: Schema = {
    "type": "string",
    "pattern": r"\$\{\{",
    "description": "An expression: ${{ ... }}.",
}


def json_schema(catalogue: Catalogue) -> Schema:
    """Return the JSON Schema (draft 2020-12) of a playbook with the actions of the catalogue.

    `use` completes to an action, and `with` to the inputs of that action.
    """
    schema = _without_null(PlaybookSpec.model_json_schema())
    use_step = schema["$defs"]["UseStep"]
    use_step["properties"]["use"] = {
        **{key: value for key, value in use_step["properties"]["use"].items() if key != "pattern"},
        "oneOf": [
            {"const": name, "description": action.summary}
            for name, action in sorted(catalogue.actions.items())
        ],
    }
    use_step["allOf"] = [
        _typed_inputs(name, action) for name, action in sorted(catalogue.actions.items())
    ]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _typed_inputs(name: str, action: ActionType) -> Schema:
    inputs = _or_template(
        inline(action.input_schema, action.input_schema.get("$defs", {})), top=True
    )
    required = ["with"] if action.input_schema.get("required") else []
    return {
        "if": {"properties": {"use": {"const": name}}, "required": ["use"]},
        "then": {"properties": {"with": inputs}, "required": required},
    }


def inline(schema: Any, definitions: Mapping[str, Any], seen: tuple[str, ...] = ()) -> Any:
    """Return the schema without references. A recursive reference becomes any value."""
    if isinstance(schema, list):
        return [inline(part, definitions, seen) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if reference := schema.get("$ref"):
        name = str(reference).rpartition("/")[2]
        return {} if name in seen else inline(definitions.get(name, {}), definitions, (*seen, name))
    return {key: inline(part, definitions, seen) for key, part in schema.items() if key != "$defs"}


def _or_template(schema: Schema, *, top: bool = False) -> Schema:
    """Return the schema, in which an expression may stand for any value."""
    deeper = dict(schema)
    if "properties" in deeper:
        deeper["properties"] = {
            name: _or_template(part) for name, part in deeper["properties"].items()
        }
    if isinstance(deeper.get("items"), dict):
        deeper["items"] = _or_template(deeper["items"])
    if top or not {"type", "anyOf", "oneOf", "enum", "const"} & deeper.keys():
        return deeper
    about: Schema = {
        key: deeper.pop(key)
        for key in ("title", "description", "default", "examples")
        if key in deeper
    }
    return {**about, "anyOf": [deeper, _TEMPLATE]}


def _without_null(schema: Any) -> Any:
    """Return the schema without `null` as a value: a playbook with an empty key is refused."""
    if isinstance(schema, list):
        return [_without_null(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    result = {
        key: _without_null(part)
        for key, part in schema.items()
        if not (key == "default" and part is None)
    }
    options = [part for part in result.get("anyOf", []) if part != {"type": "null"}]
    if len(options) == 1 and len(options) < len(result["anyOf"]):
        del result["anyOf"]
        return {**options[0], **result}
    return {**result, "anyOf": options} if options else result
