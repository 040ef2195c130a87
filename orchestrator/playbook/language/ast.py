"""The syntax tree of an expression, and the errors of one that is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from orchestrator.domain.errors import Invalid
from orchestrator.playbook.problems import did_you_mean


class ExpressionError(Invalid):
    """An expression that is not allowed, or that cannot be evaluated over the given data."""

    def __init__(self, message: str, fix: str | None = None) -> None:
        super().__init__(f"{message}; {fix}" if fix else message)
        self.message = message
        self.fix = fix


class UndefinedError(ExpressionError):
    """A path that does not exist. `default` and `is defined` handle it, everything else fails."""

    def __init__(self, path: str, key: object = None, known: object = ()) -> None:
        super().__init__(f"{path} is not defined")
        self._key, self._known = key, known

    def with_suggestion(self) -> ExpressionError:
        """Return the error with the name that may be meant, which takes long to find."""
        if isinstance(self._key, str) and isinstance(self._known, Mapping):
            return ExpressionError(self.message, did_you_mean(self._key, self._known))
        return ExpressionError(self.message, self.fix)


class NullError(UndefinedError):
    """A path below a value that is null."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.message += ": the value before it is null"
        self.fix = "guard it with `... is not none and ...` or `| default(...)`"


@contextmanager
def suggestions() -> Iterator[None]:
    """Add the name that may be meant to the error of a path that does not exist."""
    try:
        yield
    except UndefinedError as error:
        raise error.with_suggestion() from None


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
