"""The syntax tree of an expression, and the error of one that is wrong."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.domain.errors import Invalid


class ExpressionError(Invalid):
    """An expression that is not allowed, or that cannot be evaluated over the given data."""

    def __init__(self, message: str, fix: str | None = None) -> None:
        super().__init__(f"{message}; {fix}" if fix else message)
        self.message = message
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Constant:
    """`4`, `'text'`, `true`, `none`."""

    value: str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class ListLiteral:
    """`[a, b]`."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class ObjectLiteral:
    """`{'key': a}`."""

    pairs: tuple[tuple[str, Node], ...]


@dataclass(frozen=True, slots=True)
class Name:
    """`alert`."""

    name: str


@dataclass(frozen=True, slots=True)
class Item:
    """`of.key`, `of['key']`, `of[0]`."""

    of: Node
    key: Node
    path: str  # as messages show it


@dataclass(frozen=True, slots=True)
class Slice:
    """`of[start:stop]` of a text or a list; None: from its beginning, or to its end."""

    of: Node
    start: Node | None
    stop: Node | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """`left < right`; chains (`1 < x < 5`) are refused."""

    operator: str  # == != < <= > >= in, not in
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
    """`left + right`, `left - right`, `left * right`, `left / right`, `left % right`."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Minus:
    """`-of`."""

    of: Node


@dataclass(frozen=True, slots=True)
class Concatenation:
    """`a ~ b ~ c`: the texts of all parts in one."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Conditional:
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
    """`of is defined`: true where the path exists, also where its value is null."""

    of: Node


@dataclass(frozen=True, slots=True)
class FilterCall:
    """`of | name(arguments)`."""

    name: str
    of: Node
    arguments: tuple[Node, ...]
    named: tuple[tuple[str, Node], ...]


Node = (
    Constant
    | ListLiteral
    | ObjectLiteral
    | Name
    | Item
    | Slice
    | Comparison
    | Logic
    | Negation
    | Arithmetic
    | Minus
    | Concatenation
    | Conditional
    | IsNone
    | IsDefined
    | FilterCall
)
