"""The filters of the expression language: one table, with what each takes, gives and does."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, cast

from orchestrator.playbook.language.syntax import ExpressionError
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
from orchestrator.playbook.language.values import (
    MAX_ITEMS,
    MAX_TEXT,
    Json,
    bounded,
    is_number,
    json_text,
    less,
    same,
    short,
    spoken,
    text,
    within,
)

TEXT = frozenset({"string"})
NUMBERS = frozenset({"int", "number"})
LIST = frozenset({"list"})
EVERYTHING = frozenset({"null", "bool", "int", "number", "string", "list", "object"})


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument of a filter. `kinds`: the JSON kinds that it takes. `field`: it names a field of the list's items."""

    name: str
    kinds: frozenset[str]
    required: bool = True
    field: bool = False


@dataclass(frozen=True, slots=True)
class Filter:
    """`value | name(parameters)`. `accepts`: kinds of the value; `result`: its type from the value's and the arguments'."""

    summary: str
    accepts: frozenset[str]
    result: Callable[[Type, list[Any]], Type]
    apply: Callable[..., Json]
    parameters: tuple[Parameter, ...] = field(default=())


def _lower(value: str) -> str:
    return short(value.lower())


def _upper(value: str) -> str:
    return short(value.upper())


def _trim(value: str) -> str:
    return value.strip()


def _length(value: Any) -> int:
    return len(value)


def _join(value: list[Json], separator: str = ", ") -> str:
    parts = [text(item) for item in value[: MAX_ITEMS + 1]]
    if len(value) > MAX_ITEMS or sum(map(len, parts)) + len(separator) * len(
        parts
    ) > MAX_TEXT + len(separator):
        message = f"`join` makes a text of more than {MAX_TEXT} characters"
        raise ExpressionError(message, "take less of it")
    return separator.join(parts)


def _first(value: list[Json]) -> Json:
    return value[0] if value else None


def _last(value: list[Json]) -> Json:
    return value[-1] if value else None


def _unique(value: list[Json]) -> list[Json]:
    return list({json_text(item): item for item in reversed(value)}.values())[::-1]


def _sort(value: list[Json]) -> list[Json]:
    for one, other in pairwise(value):
        less(one, other)  # all numbers, or all texts
    return sorted(value)


def _map(value: list[Json], attribute: str) -> list[Json]:
    return [_field(item, attribute) for item in value]


def _where(value: list[Json], attribute: str, wanted: Json) -> list[Json]:
    return [item for item in value if same(_field(item, attribute), wanted)]


def _field(item: Json, name: str) -> Json:
    if not isinstance(item, dict) or name not in item:
        message = f"an item of the list has no {name!r}"
        raise ExpressionError(message)
    return item[name]


def _int(value: Json) -> int:
    if is_number(value):
        return int(bounded(int(bounded(value))))
    digits = value.strip()
    if not (digits.isascii() and digits.removeprefix("-").isdigit()) or len(digits) > 17:
        message = "`int` of a text that is no whole number"
        raise ExpressionError(message)
    return int(bounded(int(digits)))


def _round(value: float, digits: int = 0) -> int | float:
    if not 0 <= digits <= 10:
        message = "`round` takes 0 to 10 digits"
        raise ExpressionError(message)
    return bounded(round(bounded(value), digits) if digits else round(bounded(value)))


def _replace(value: str, old: str, new: str) -> str:
    if not old:
        message = "`replace` of an empty text"
        raise ExpressionError(message)
    if len(value) + value.count(old) * (len(new) - len(old)) > MAX_TEXT:
        message = f"`replace` makes a text of more than {MAX_TEXT} characters"
        raise ExpressionError(message)
    return value.replace(old, new)


def _split(value: str, separator: str) -> list[str]:
    if not separator:
        message = "`split` at an empty text"
        raise ExpressionError(message)
    if value.count(separator) >= MAX_ITEMS:
        message = f"`split` into more than {MAX_ITEMS} parts"
        raise ExpressionError(message)
    return value.split(separator)


def _in_network(value: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(value) in ipaddress.ip_network(network, strict=False)
    except ValueError as error:
        message = "`in_network` takes an address and a network such as 10.0.0.0/8"
        raise ExpressionError(message) from error


def _default(value: Json, otherwise: Json) -> Json:
    return otherwise if value is None else value


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
    """The list of one field of the items. `arguments` holds the field's name where it is written out, else None."""
    items = members(without_null(_item_of(value)))
    name = arguments[0]
    return ListOf(
        union(item.fields.get(name, ANY) if isinstance(item, ObjectOf) else ANY for item in items)
    )


def _or_else(value: Type, arguments: list[Any]) -> Type:
    return (
        union((without_null(value), arguments[0])) if value != NULL else cast("Type", arguments[0])
    )


_ATTRIBUTE = Parameter("attribute", TEXT, field=True)

FILTERS: dict[str, Filter] = {
    "default": Filter(
        "the argument where the value is null or its path leads nowhere",
        EVERYTHING,
        _or_else,
        _default,
        (Parameter("value", EVERYTHING),),
    ),
    "lower": Filter("in lower case", TEXT, _always(STRING), _lower),
    "upper": Filter("in upper case", TEXT, _always(STRING), _upper),
    "trim": Filter("without white space around", TEXT, _always(STRING), _trim),
    "replace": Filter(
        "each `old` as `new`",
        TEXT,
        _always(STRING),
        _replace,
        (Parameter("old", TEXT), Parameter("new", TEXT)),
    ),
    "split": Filter(
        "a list of the parts between separators",
        TEXT,
        _always(ListOf(STRING)),
        _split,
        (Parameter("separator", TEXT),),
    ),
    "starts_with": Filter(
        "whether it begins so", TEXT, _always(BOOL), str.startswith, (Parameter("text", TEXT),)
    ),
    "ends_with": Filter(
        "whether it ends so", TEXT, _always(BOOL), str.endswith, (Parameter("text", TEXT),)
    ),
    "contains": Filter(
        "whether the text, item or key is in it",
        frozenset({"string", "list", "object"}),
        _always(BOOL),
        lambda value, item: within(item, value),
        (Parameter("item", EVERYTHING),),
    ),
    "in_network": Filter(
        "whether the address is in the network (CIDR)",
        TEXT,
        _always(BOOL),
        _in_network,
        (Parameter("network", TEXT),),
    ),
    "length": Filter(
        "how many characters, items or keys",
        frozenset({"string", "list", "object"}),
        _always(INT),
        _length,
    ),
    "first": Filter("the first item; null of an empty list", LIST, _item, _first),
    "last": Filter("the last item; null of an empty list", LIST, _item, _last),
    "join": Filter(
        "the texts of the items, put together",
        LIST,
        _always(STRING),
        _join,
        (Parameter("separator", TEXT, required=False),),
    ),
    "unique": Filter("without repeats, in the order of first sight", LIST, _same, _unique),
    "sort": Filter("in order: all numbers, or all texts", LIST, _same, _sort),
    "map": Filter("one field of each item", LIST, _mapped, _map, (_ATTRIBUTE,)),
    "where": Filter(
        "the items whose field is the value",
        LIST,
        _same,
        _where,
        (_ATTRIBUTE, Parameter("value", EVERYTHING)),
    ),
    "int": Filter(
        "a whole number, of a number (cut off) or of a text",
        frozenset({"int", "number", "string"}),
        _always(INT),
        _int,
    ),
    "round": Filter(
        "rounded, half to even; to a whole number unless `digits` are given",
        NUMBERS,
        _always(NUMBER),
        _round,
        (Parameter("digits", frozenset({"int"}), required=False),),
    ),
    "string": Filter("its text", EVERYTHING - {"null"}, _always(STRING), text),
    "json": Filter("canonical JSON (RFC 8785)", EVERYTHING, _always(STRING), json_text),
}


def argued(name: str, filter_: Filter, given: int, named: tuple[str, ...]) -> list[Parameter]:
    """The parameters that these arguments (so many in order, then by name) stand for. Raises ExpressionError with the mend."""
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
        raise ExpressionError(f"the filter {name!r} lacks an argument", _usage(name, filter_))
    return order


def _usage(name: str, filter_: Filter) -> str:
    arguments = ", ".join(parameter.name for parameter in filter_.parameters)
    return f"write `x | {name}({arguments})`" if arguments else f"write `x | {name}`"


def refuse_kind(name: str, value: Json) -> ExpressionError:
    """The error of a filter over a value that it does not take."""
    takes = " or ".join(sorted(FILTERS[name].accepts))
    return ExpressionError(f"the filter {name!r} takes {takes}, and got {spoken(value)}")
