"""The types of the data flow: a small structural type system over JSON, read from JSON Schema.

It finds mistakes and proves nothing: `anything` fits everywhere, and a value that may be null fits
where its other types do. Null is met at run time, with an error that names the path. An unknown
field of a closed object is always a mistake.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from orchestrator.domain.alert import Alert, Severity

Kind = str  # null, bool, int, number, string, list, object


@dataclass(frozen=True, slots=True)
class Anything:
    """A value of any type."""

    def __str__(self) -> str:
        return "anything"


@dataclass(frozen=True, slots=True)
class Scalar:
    """Null, bool, int, number (int or float) or string."""

    kind: Kind
    values: frozenset[str] | None = None  # the only texts that it can be

    def __str__(self) -> str:
        if self.values is not None and len(self.values) == 1:
            return repr(*self.values)
        if self.values is not None and len(self.values) <= 8:
            return "one of " + ", ".join(repr(value) for value in sorted(self.values))
        return _DESCRIPTIONS[self.kind]


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list whose items are of one type."""

    item: Type

    def __str__(self) -> str:
        return "a list"


@dataclass(frozen=True, slots=True)
class ObjectOf:
    """An object."""

    fields: Mapping[str, Type] = field(default_factory=dict)
    more: bool = False  # whether it may have further fields

    def __str__(self) -> str:
        return "an object"


@dataclass(frozen=True, slots=True)
class OneOf:
    """A value of one of several types. Built by `union` only."""

    members: tuple[Type, ...]

    def __str__(self) -> str:
        return " or ".join(dict.fromkeys(str(member) for member in self.members))


Type = Anything | Scalar | ListOf | ObjectOf | OneOf

_DESCRIPTIONS = {
    "null": "null",
    "bool": "true or false",
    "int": "a whole number",
    "number": "a number",
    "string": "a text",
}

ANY = Anything()
NULL = Scalar("null")
BOOL = Scalar("bool")
INT = Scalar("int")
NUMBER = Scalar("number")
STRING = Scalar("string")


def text_of(*values: str) -> Scalar:
    """Return the type of a text that can only be one of these."""
    return Scalar("string", frozenset(values))


def union(types: Iterable[Type]) -> Type:
    """Return the union of types, flat and without repeats. `anything` absorbs the others."""
    members: list[Type] = []
    for kind in types:
        for member in kind.members if isinstance(kind, OneOf) else (kind,):
            if member not in members:
                members.append(member)
    if ANY in members or not members:
        return ANY
    if STRING in members:
        members = [
            member
            for member in members
            if member == STRING or not (isinstance(member, Scalar) and member.kind == "string")
        ]
    return members[0] if len(members) == 1 else OneOf(tuple(members))


def nullable(kind: Type) -> Type:
    """Return the union of a type and null."""
    return kind if kind == ANY else union((kind, NULL))


def without_null(kind: Type) -> Type:
    """Return a type without null. Null alone stays null."""
    if not isinstance(kind, OneOf):
        return kind
    return union(member for member in kind.members if member != NULL)


def members(kind: Type) -> tuple[Type, ...]:
    """Return the alternatives of a union, or the type itself."""
    return kind.members if isinstance(kind, OneOf) else (kind,)


def kinds(kind: Type) -> frozenset[Kind]:
    """Return the JSON kinds of a type. `anything` is all of them."""
    match kind:
        case Anything():
            return frozenset({"null", "bool", "int", "number", "string", "list", "object"})
        case Scalar():
            return frozenset({kind.kind})
        case ListOf():
            return frozenset({"list"})
        case ObjectOf():
            return frozenset({"object"})
        case OneOf():
            return frozenset().union(*(kinds(member) for member in kind.members))


def fits(source: Type, target: Type) -> bool:
    """Whether a value of `source` can stand for `target`; null is left to run time."""
    if ANY in (source, target):
        return True
    return all(
        any(_fits_one(given, wanted) for wanted in members(target))
        for given in members(without_null(source))
    )


def _fits_one(source: Type, target: Type) -> bool:
    match source, target:
        case Scalar(), Scalar():
            same = source.kind == target.kind or (source.kind == "int" and target.kind == "number")
            return same and (
                source.values is None
                or target.values is None
                or bool(source.values & target.values)
            )
        case ListOf(), ListOf():
            return fits(source.item, target.item)
        case ObjectOf(), ObjectOf():
            known = target.more or source.more or not source.fields.keys() - target.fields.keys()
            return known and all(
                fits(kind, target.fields[name])
                for name, kind in source.fields.items()
                if name in target.fields
            )
        case _:
            return ANY in (source, target)


def may_equal(left: Type, right: Type) -> bool:
    """Whether values of two types can be equal. A comparison with null is always allowed."""
    if NULL in (left, right):
        return True
    return any(
        _meet(one, other)
        for one in members(without_null(left))
        for other in members(without_null(right))
    )


def _meet(one: Type, other: Type) -> bool:
    return fits(one, other) or fits(other, one)


def from_schema(schema: Mapping[str, Any]) -> Type:
    """Return the type that a JSON Schema describes, as pydantic writes it."""
    return _from(schema, schema.get("$defs", {}), ())


_SCALARS = {"null": NULL, "boolean": BOOL, "integer": INT, "number": NUMBER, "string": STRING}


def _from(schema: Mapping[str, Any], definitions: Mapping[str, Any], seen: tuple[str, ...]) -> Type:
    if reference := schema.get("$ref"):
        name = str(reference).rpartition("/")[2]
        return (
            ANY
            if name in seen or name not in definitions
            else _from(definitions[name], definitions, (*seen, name))
        )
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return union(_from(option, definitions, seen) for option in schema[word])
    if "const" in schema or "enum" in schema:
        return _merged(_of_value(value) for value in schema.get("enum", [schema.get("const")]))
    match schema.get("type"):
        case "array":
            return ListOf(_from(schema.get("items") or {}, definitions, seen))
        case "object":
            return _object(schema, definitions, seen)
        case str(name) if name in _SCALARS:
            return _SCALARS[name]
        case _:
            return ANY


def _object(
    schema: Mapping[str, Any], definitions: Mapping[str, Any], seen: tuple[str, ...]
) -> ObjectOf:
    properties = schema.get("properties", {})
    return ObjectOf(
        {name: _from(one, definitions, seen) for name, one in properties.items()},
        more=schema.get("additionalProperties") is not False,
    )


def _of_value(value: object) -> Type:
    match value:
        case None:
            return NULL
        case bool():
            return BOOL
        case int():
            return INT
        case float():
            return NUMBER
        case str():
            return text_of(value)
        case _:
            return ANY


def _merged(options: Iterable[Type]) -> Type:
    """Merge the texts 'a' and 'b' to one type of texts that can be 'a' or 'b'."""
    options = list(options)
    values = [option.values for option in options if isinstance(option, Scalar) and option.values]
    others = [option for option in options if not (isinstance(option, Scalar) and option.values)]
    return union([*others, *([Scalar("string", frozenset().union(*values))] if values else [])])


@cache
def alert_type() -> ObjectOf:
    """Return the type of `alert` and `event`: the fields of an alert and of its view."""
    seen = from_schema(Alert.model_json_schema(mode="serialization"))
    fields = dict(seen.fields) if isinstance(seen, ObjectOf) else {}
    del fields["alert_class"]
    added = dict.fromkeys(("id", "incident_id", "class", "source", "product", "raw_sha256"), STRING)
    return ObjectOf(
        {
            **fields,
            **added,
            "age": INT,
            "severity_name": text_of(*(severity.name.lower() for severity in Severity)),
        }
    )
