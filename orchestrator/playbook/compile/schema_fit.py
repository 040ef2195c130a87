"""Schema fit: whether a value of literals and templates fits the JSON Schema of its consumer.

Why not a library: jsonschema checks literals only. Here a template stands for a value whose type is
inferred, and every mismatch has a fix.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.domain.observable import CANONICAL, ObservableType
from orchestrator.playbook.language.templates import is_template
from orchestrator.playbook.language.types import NULL, Type, fits, from_schema
from orchestrator.playbook.language.yaml import Path
from orchestrator.playbook.problems import did_you_mean

Schema = Mapping[str, Any]
Infer = Callable[[str, Path], Type]


@dataclass(frozen=True, slots=True)
class SchemaMismatch:
    """A part of a value that does not fit."""

    path: Path
    message: str
    fix: str | None = None
    key: bool = False  # whether the key at the path is wrong, not the value


def schema_mismatches(value: Any, schema: Schema, path: Path, infer: Infer) -> list[SchemaMismatch]:
    """Return every mismatch. `infer` returns the type of a template and reports its errors."""
    return _Fitter(schema.get("$defs", {}), infer).fit(value, schema, path)


class _Fitter:
    def __init__(self, definitions: Mapping[str, Schema], infer: Infer) -> None:
        self._definitions = definitions
        self._infer = infer

    def fit(self, value: Any, schema: Schema, path: Path) -> list[SchemaMismatch]:
        if reference := schema.get("$ref"):
            return self.fit(
                value, self._definitions.get(str(reference).rpartition("/")[2], {}), path
            )
        if isinstance(value, str) and is_template(value):
            return self._template(value, schema, path)
        for word in ("anyOf", "oneOf"):
            if word in schema:
                return self._any(value, schema[word], path)
        if isinstance(value, dict) and schema.get("type") in {None, "object"}:
            return self._object(value, schema, path)
        if isinstance(value, list) and schema.get("type") in {None, "array"}:
            return self._list(value, schema, path)
        wrong = _literal(value, schema)
        return [SchemaMismatch(path, f"{_name(path)} {wrong[0]}", wrong[1])] if wrong else []

    def _template(self, value: str, schema: Schema, path: Path) -> list[SchemaMismatch]:
        if schema.get("x-literal"):
            message = f"{_name(path)} cannot hold an expression"
            fix = "write it literally: an alert must not choose it"
            return [SchemaMismatch(path, message, fix)]
        given = self._infer(value, path)
        wanted = from_schema({**schema, "$defs": self._definitions})
        if fits(given, wanted) and not (given == NULL and not fits(NULL, wanted)):
            return []
        return [SchemaMismatch(path, f"{_name(path)} takes {wanted}, not {given}")]

    def _any(self, value: Any, options: list[Schema], path: Path) -> list[SchemaMismatch]:
        """Return the mismatches of the option that fits best."""
        found = [
            self.fit(value, option, path)
            for option in options
            if option.get("type") != "null" or value is None
        ]
        return min(found, key=len, default=[])

    def _object(self, value: dict[str, Any], schema: Schema, path: Path) -> list[SchemaMismatch]:
        properties: Mapping[str, Schema] = schema.get("properties", {})
        more = schema.get("additionalProperties", True)
        found: list[SchemaMismatch] = []
        for key, item in value.items():
            if key in properties or more is not False:
                found += self.fit(
                    item, properties.get(key, more if isinstance(more, dict) else {}), (*path, key)
                )
            else:
                found.append(
                    SchemaMismatch(
                        (*path, key),
                        f"unknown input {key!r}",
                        did_you_mean(key, properties),
                        key=True,
                    )
                )
        misspelled = {mismatch.fix for mismatch in found if mismatch.key}
        missing = [
            name
            for name in schema.get("required", ())
            if name not in value and f"did you mean {name!r}?" not in misspelled
        ]
        return found + [
            SchemaMismatch(path, f"input {name!r} is missing", "add it") for name in missing
        ]

    def _list(self, value: list[Any], schema: Schema, path: Path) -> list[SchemaMismatch]:
        found = [
            mismatch
            for index, item in enumerate(value)
            for mismatch in self.fit(item, schema.get("items") or {}, (*path, index))
        ]
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            found.append(
                SchemaMismatch(
                    path,
                    f"{_name(path)} has {len(value)} items",
                    f"it takes {schema.get('minItems', 0)} to {schema.get('maxItems', 'any')}",
                )
            )
        return found


_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
    "array": (list,),
    "object": (dict,),
}
_DESCRIPTIONS = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
    "array": "a list",
    "object": "a mapping",
}

Wrong = tuple[str, str | None]


def _literal(value: Any, schema: Schema) -> Wrong | None:
    """Return what is wrong with a literal, and the fix."""
    kind = schema.get("type")
    if kind in _TYPES and (
        not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean")
    ):
        return (
            f"must be {_DESCRIPTIONS[kind]}",
            f"quote it: '{value}'"
            if kind == "string" and not isinstance(value, (dict, list))
            else None,
        )
    options = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if options is not None and value not in options:
        return f"cannot be {value!r}", did_you_mean(
            str(value), map(str, options)
        ) or f"use one of: {', '.join(map(str, options))}"
    if isinstance(value, str):
        return _text(value, schema)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _number(value, schema)
    return None


def _text(value: str, schema: Schema) -> Wrong | None:
    low, high = schema.get("minLength", 0), schema.get("maxLength", len(value))
    if not low <= len(value) <= high:
        limit = f"at least {low}" if len(value) < low else f"at most {high}"
        return f"has {len(value)} characters", f"it takes {limit}"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        return f"does not match {schema['pattern']}", None
    if observable := schema.get("x-observable"):
        try:
            CANONICAL[ObservableType(observable)](value)
        except ValueError:
            return (
                f"is not a valid {observable}: {value[:80]!r}",
                f"write it like {schema['examples'][0]}" if schema.get("examples") else None,
            )
    return None


def _number(value: float, schema: Schema) -> Wrong | None:
    if "minimum" in schema and value < schema["minimum"]:
        return f"is {value}", f"it must be at least {schema['minimum']}"
    if "maximum" in schema and value > schema["maximum"]:
        return f"is {value}", f"it must be at most {schema['maximum']}"
    if "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]:
        return f"is {value}", f"it must be more than {schema['exclusiveMinimum']}"
    if "exclusiveMaximum" in schema and value >= schema["exclusiveMaximum"]:
        return f"is {value}", f"it must be less than {schema['exclusiveMaximum']}"
    return None


def _name(path: Path) -> str:
    return (
        f"input {path[-1]!r}" if isinstance(path[-1], str) else f"item {path[-1]} of {path[-2]!r}"
    )
