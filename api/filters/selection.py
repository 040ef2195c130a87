"""Selections: the conditions of a list, declared once for query parameters and request bodies."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Any, ClassVar, Generic, TypeVar, get_type_hints

from api.schemas.request_model import RequestModel
from orchestrator.assets.facts import canonical_tag
from orchestrator.domain.errors import Invalid
from orchestrator.store.search.names import parse_covering, parse_names

F = TypeVar("F")

_VALUES: dict[str, Callable[[str], Any]] = {
    "target": parse_names,
    "observable": parse_names,
    "covering": parse_covering,
    "tag": canonical_tag,
}
"""The conditions that are values in any spelling."""


class Selection(RequestModel, Generic[F]):
    """The conditions that choose objects of one kind; each that is given narrows the choice."""

    filter_type: ClassVar[type[Any]]
    """The filter, which has a field of the same name for each condition."""

    def to_filter(self) -> F:
        """Return the filter. Raise Invalid for a value that is none, which names its condition."""
        found: F = self.filter_type(**{name: _read(name, value) for name, value in self})
        return found


def from_query(selection: type[Selection[F]]) -> Callable[..., F]:
    """Return a dependency that reads a selection from query parameters of the same names."""
    hints = get_type_hints(selection, include_extras=True)

    def read(**given: Any) -> F:
        return selection.model_construct(**given).to_filter()

    parameters = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[name])
        for name, field in selection.model_fields.items()
    ]
    setattr(read, "__signature__", Signature(parameters))  # noqa: B010 - FastAPI reads it
    return read


def _read(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    if value is None or name not in _VALUES:
        return value
    try:
        return _VALUES[name](value)
    except Invalid as error:
        raise Invalid(f"{name}: {error}") from error
