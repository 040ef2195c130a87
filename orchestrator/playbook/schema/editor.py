"""The JSON Schema that editors complete and check playbooks with: the author's schema, and the actions of a catalogue in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.playbook.catalogue import ActionType, Catalogue
from orchestrator.playbook.schema.playbook import Playbook

Schema = dict[str, Any]

_TEMPLATE: Schema = {
    "type": "string",
    "pattern": r"\$\{\{",
    "description": "An expression: ${{ ... }}.",
}


def json_schema(catalogue: Catalogue) -> Schema:
    """JSON Schema (draft 2020-12) of a playbook: `use` completes to the catalogue's actions, `with` to the action's inputs."""
    schema = _without_null(Playbook.model_json_schema())
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
        inlined(action.input_schema, action.input_schema.get("$defs", {})), top=True
    )
    required = ["with"] if action.input_schema.get("required") else []
    return {
        "if": {"properties": {"use": {"const": name}}, "required": ["use"]},
        "then": {"properties": {"with": inputs}, "required": required},
    }


def inlined(schema: Any, definitions: Mapping[str, Any], seen: tuple[str, ...] = ()) -> Any:
    """The schema with every reference to `$defs` written out; a recursive one becomes anything."""
    if isinstance(schema, list):
        return [inlined(part, definitions, seen) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if reference := schema.get("$ref"):
        name = str(reference).rpartition("/")[2]
        return (
            {} if name in seen else inlined(definitions.get(name, {}), definitions, (*seen, name))
        )
    return {key: inlined(part, definitions, seen) for key, part in schema.items() if key != "$defs"}


def _or_template(schema: Schema, *, top: bool = False) -> Schema:
    """The schema, where any value may also be an expression."""
    deeper = dict(schema)
    if "properties" in deeper:
        deeper["properties"] = {
            name: _or_template(part) for name, part in deeper["properties"].items()
        }
    if isinstance(deeper.get("items"), dict):
        deeper["items"] = _or_template(deeper["items"])
    if top or not {"type", "anyOf", "oneOf", "enum", "const"} & deeper.keys():
        return deeper
    told: Schema = {
        key: deeper.pop(key)
        for key in ("title", "description", "default", "examples")
        if key in deeper
    }
    return {**told, "anyOf": [deeper, _TEMPLATE]}


def _without_null(schema: Any) -> Any:
    """The same without `null` as a value: a key that is empty is a mistake, and is refused when the playbook is read."""
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
