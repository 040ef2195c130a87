"""The syntax tree of an expression: every construct that there is, and no other."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Constant:
    """`4`, `'text'`, `true`, `none`."""

    value: str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class ListOfNodes:
    """`[a, b]`."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class ObjectOfNodes:
    """`{'key': a}`."""

    pairs: tuple[tuple[str, Node], ...]


@dataclass(frozen=True, slots=True)
class Name:
    """`alert`."""

    name: str


@dataclass(frozen=True, slots=True)
class Item:
    """`of.key`, `of['key']`, `of[0]`; `path` is how it is written, for messages."""

    of: Node
    key: Node
    path: str


@dataclass(frozen=True, slots=True)
class Compare:
    """`left < right`; chains (`1 < x < 5`) are refused. One of == != < <= > >= in `not in`."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Logic:
    """`left and right`, `left or right`."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Negation:
    """`not of`."""

    of: Node


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """`left + right`, and - * / %."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Minus:
    """`-of`."""

    of: Node


@dataclass(frozen=True, slots=True)
class Join:
    """`a ~ b ~ c`: text of each, put together."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """`then if test else otherwise`."""

    test: Node
    then: Node
    otherwise: Node


@dataclass(frozen=True, slots=True)
class IsNone:
    """`of is none`."""

    of: Node


@dataclass(frozen=True, slots=True)
class IsDefined:
    """`of is defined`: the path leads somewhere, be it to null."""

    of: Node


@dataclass(frozen=True, slots=True)
class Filtered:
    """`of | name(arguments)`."""

    name: str
    of: Node
    arguments: tuple[Node, ...]
    named: tuple[tuple[str, Node], ...]


Node = (
    Constant
    | ListOfNodes
    | ObjectOfNodes
    | Name
    | Item
    | Compare
    | Logic
    | Negation
    | Arithmetic
    | Minus
    | Join
    | Either
    | IsNone
    | IsDefined
    | Filtered
)
