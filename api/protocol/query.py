"""Query parameters: a route refuses those that it does not declare, and repeated ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from fastapi import params
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import get_flat_params, get_validation_alias
from starlette.datastructures import QueryParams

from api.problems import InvalidParts, ProblemPlace
from orchestrator.playbook.problems import did_you_mean

_MAX_SHOWN = 64
_NOT_QUERY = (params.Path, params.Header, params.Cookie)
_SEQUENCES = (list, tuple, set, frozenset)


def declared_parameters(dependant: Dependant) -> dict[str, bool]:
    """Return the query parameters of a route's signature, each with whether it takes several."""
    return {
        get_validation_alias(field): _is_sequence(field.field_info.annotation)
        for field in get_flat_params(dependant)
        if not isinstance(field.field_info, _NOT_QUERY)
    }


def check_query(given: QueryParams, declared: Mapping[str, bool]) -> None:
    """Raise InvalidParts for a parameter that is unknown, or given again but takes one value."""
    counts = Counter(name for name, _ in given.multi_items())
    places = [
        place
        for name, count in counts.items()
        if (place := _problem(name, count, declared)) is not None
    ]
    if not places:
        return
    accepted = ", ".join(sorted(declared)) or "no query parameters"
    first = places[0]
    repeats = first.fix is None or first.fix.startswith("use one of")
    sentence = first.message if repeats else f"{first.message}; {first.fix}"
    end = "" if sentence.endswith("?") else "."
    raise InvalidParts(f"{sentence}{end} This path accepts: {accepted}", places)


def _problem(name: str, count: int, declared: Mapping[str, bool]) -> ProblemPlace | None:
    shown = name if len(name) <= _MAX_SHOWN else f"{name[:_MAX_SHOWN]}..."
    if name not in declared:
        return ProblemPlace(
            place=f"query.{shown}",
            message=f"unknown query parameter {shown!r}",
            fix=did_you_mean(name, declared),
        )
    if count > 1 and not declared[name]:
        return ProblemPlace(
            place=f"query.{shown}",
            message=f"query parameter {shown!r} is given {count} times and takes one value",
            fix="give it once",
        )
    return None


def _is_sequence(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _is_sequence(get_args(annotation)[0])
    if origin in {Union, UnionType}:
        return any(_is_sequence(each) for each in get_args(annotation))
    return (origin or annotation) in _SEQUENCES
