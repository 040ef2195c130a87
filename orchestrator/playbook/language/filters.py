"""The filters of the expression language: one table with what each takes, returns and does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from orchestrator.playbook.language import filter_functions as functions
from orchestrator.playbook.language.ast import ExpressionError
from orchestrator.playbook.language.types import (
    ANY,
    BOOL,
    INT,
    NULL,
    NUMBER,
    STRING,
    ListOf,
    ObjectOf,
    Type,
    members,
    nullable,
    union,
    without_null,
)
from orchestrator.playbook.language.values import Json, describe_kind, is_in, json_text, text
from orchestrator.playbook.patterns import compile_pattern
from orchestrator.playbook.problems import did_you_mean

TEXT = frozenset({"string"})
NUMBERS = frozenset({"int", "number"})
LIST = frozenset({"list"})
SPELL = 3
"""Steps for each part of a value that becomes text."""
EVERYTHING = frozenset({"null", "bool", "int", "number", "string", "list", "object"})


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument of a filter."""

    name: str
    kinds: frozenset[str]  # the JSON kinds that it takes
    required: bool = True
    field: bool = False  # whether it names a field of the list's items
    check: Callable[[str], object] | None = None  # of a text that must be a literal; raises Invalid


@dataclass(frozen=True, slots=True)
class Filter:
    """`value | name(parameters)`."""

    summary: str
    accepts: frozenset[str]  # the JSON kinds of the value
    result: Callable[[Type, list[Any]], Type]  # from the types of the value and the arguments
    apply: Callable[..., Json]
    parameters: tuple[Parameter, ...] = field(default=())
    cost: int = 1
    """Steps for each part of the value and the arguments; 0 where none is read."""
    work: Callable[..., int] | None = None
    """Further steps, by the value and the arguments."""


def _always(kind: Type) -> Callable[[Type, list[Any]], Type]:
    return lambda _value, _arguments: kind


def _same(value: Type, _: list[Any]) -> Type:
    return without_null(value)


def _item(value: Type, _: list[Any]) -> Type:
    return nullable(_item_of(value))


def _item_of(value: Type) -> Type:
    return union(
        member.item if isinstance(member, ListOf) else ANY
        for member in members(value)
        if member != NULL
    )


def _mapped(value: Type, arguments: list[Any]) -> Type:
    """Return the type of `map`. `arguments` holds the name of the field, or None if not literal."""
    items = members(without_null(_item_of(value)))
    name = arguments[0]
    return ListOf(union(_nested(item, name.split(".") if name else []) for item in items))


def _nested(of: Type, path: list[str]) -> Type:
    """Return the type at a path of fields. What is looked up in null is null."""
    if not path:
        return of
    found = [
        _nested(option.fields.get(path[0], ANY), path[1:]) if isinstance(option, ObjectOf) else ANY
        for option in members(without_null(of))
    ]
    return union([*found, NULL]) if NULL in members(of) else union(found)


def _or_else(value: Type, arguments: list[Any]) -> Type:
    return (
        union((without_null(value), arguments[0])) if value != NULL else cast("Type", arguments[0])
    )


_ATTRIBUTE = Parameter("attribute", TEXT, field=True)
_PATTERN = Parameter("pattern", TEXT, check=compile_pattern)

FILTERS: dict[str, Filter] = {
    "default": Filter(
        "the argument if the value is null or its path does not exist",
        EVERYTHING,
        _or_else,
        functions.default,
        (Parameter("value", EVERYTHING),),
        cost=0,
    ),
    "lower": Filter("in lower case", TEXT, _always(STRING), functions.lower),
    "upper": Filter("in upper case", TEXT, _always(STRING), functions.upper),
    "trim": Filter("without surrounding white space", TEXT, _always(STRING), functions.trim),
    "replace": Filter(
        "with each `old` replaced by `new`",
        TEXT,
        _always(STRING),
        functions.replace,
        (Parameter("old", TEXT), Parameter("new", TEXT)),
    ),
    "split": Filter(
        "a list of the parts between separators",
        TEXT,
        _always(ListOf(STRING)),
        functions.split,
        (Parameter("separator", TEXT),),
    ),
    "starts_with": Filter(
        "whether it starts with the text",
        TEXT,
        _always(BOOL),
        str.startswith,
        (Parameter("text", TEXT),),
    ),
    "ends_with": Filter(
        "whether it ends with the text",
        TEXT,
        _always(BOOL),
        str.endswith,
        (Parameter("text", TEXT),),
    ),
    "matches": Filter(
        "whether the regular expression (RE2) is found in it; the pattern is a literal",
        TEXT,
        _always(BOOL),
        functions.matches,
        (_PATTERN,),
        work=functions.search_work,
    ),
    "contains": Filter(
        "whether the text, item or key is in it",
        frozenset({"string", "list", "object"}),
        _always(BOOL),
        lambda value, item: is_in(item, value),
        (Parameter("item", EVERYTHING),),
    ),
    "in_network": Filter(
        "whether the address is in the network (CIDR)",
        TEXT,
        _always(BOOL),
        functions.in_network,
        (Parameter("network", TEXT),),
        cost=4,
    ),
    "truncate": Filter(
        "at most `length` characters, the last of which is … where some were left out",
        TEXT,
        _always(STRING),
        functions.truncate,
        (Parameter("length", frozenset({"int"})),),
    ),
    "length": Filter(
        "the number of characters, items or keys",
        frozenset({"string", "list", "object"}),
        _always(INT),
        functions.length,
        cost=0,
    ),
    "first": Filter(
        "the first item, or null for an empty list", LIST, _item, functions.first, cost=0
    ),
    "last": Filter("the last item, or null for an empty list", LIST, _item, functions.last, cost=0),
    "join": Filter(
        "the texts of all items in one",
        LIST,
        _always(STRING),
        functions.join,
        (Parameter("separator", TEXT, required=False),),
        cost=SPELL,
    ),
    "unique": Filter(
        "without repeats, in order of first appearance",
        LIST,
        _same,
        functions.unique,
        cost=SPELL,
    ),
    "sort": Filter(
        "in order; all items are numbers, or all are texts",
        LIST,
        _same,
        functions.sort,
        cost=2,
    ),
    "map": Filter(
        "one field of each item, or `field.field` below it",
        LIST,
        _mapped,
        functions.map_field,
        (_ATTRIBUTE,),
    ),
    "where": Filter(
        "the items whose field, or `field.field` below it, equals the value",
        LIST,
        _same,
        functions.where,
        (_ATTRIBUTE, Parameter("value", EVERYTHING)),
    ),
    "int": Filter(
        "a whole number: of a number without its fraction, or of a text",
        frozenset({"int", "number", "string"}),
        _always(INT),
        functions.to_int,
    ),
    "duration": Filter(
        "the seconds of a duration, such as '2h', to compare with `alert.age`",
        TEXT,
        _always(INT),
        functions.duration,
    ),
    "round": Filter(
        "rounded half to even, to `digits` places or a whole number",
        NUMBERS,
        _always(NUMBER),
        functions.round_number,
        (Parameter("digits", frozenset({"int"}), required=False),),
    ),
    "string": Filter("its text", EVERYTHING - {"null"}, _always(STRING), text, cost=SPELL),
    "json": Filter("canonical JSON (RFC 8785)", EVERYTHING, _always(STRING), json_text, cost=SPELL),
}


def known_filter(name: str) -> Filter:
    """Return the filter of that name. Raises ExpressionError."""
    if filter_ := FILTERS.get(name):
        return filter_
    message = f"unknown filter {name!r}"
    raise ExpressionError(
        message, did_you_mean(name, FILTERS) or f"the filters are {', '.join(sorted(FILTERS))}"
    )


def bind_arguments(
    name: str, filter_: Filter, given: int, named: tuple[str, ...]
) -> list[Parameter]:
    """Return the parameter of each argument: `given` in order, then those that are named.

    Raises ExpressionError.
    """
    order = list(filter_.parameters[:given])
    by_name = {parameter.name: parameter for parameter in filter_.parameters[given:]}
    if (
        given > len(filter_.parameters)
        or any(word not in by_name for word in named)
        or len(set(named)) < len(named)
    ):
        raise ExpressionError(f"wrong arguments for the filter {name!r}", _usage(name, filter_))
    order += [by_name[word] for word in named]
    if any(parameter.required and parameter not in order for parameter in filter_.parameters):
        raise ExpressionError(f"the filter {name!r} needs another argument", _usage(name, filter_))
    return order


def _usage(name: str, filter_: Filter) -> str:
    arguments = ", ".join(parameter.name for parameter in filter_.parameters)
    return f"write `x | {name}({arguments})`" if arguments else f"write `x | {name}`"


def refuse_kind(name: str, value: Json) -> ExpressionError:
    """Return the error of a filter over a value that it does not take."""
    takes = " or ".join(sorted(FILTERS[name].accepts))
    return ExpressionError(f"the filter {name!r} takes {takes}, and got {describe_kind(value)}")
