"""Messages for a tests.yaml that does not fit its model: each problem once, with its fix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from orchestrator.playbook.compile.form_errors import WANTED, fix_of_type
from orchestrator.playbook.problems import did_you_mean

Place = tuple[str | int, ...]

_BRANCHES = ("function-", "literal[", "dict[", "PartialApproval", "DurationRange", "[key]")
"""What pydantic adds to a location besides the keys of the file: the form that it tried."""
_ANSWER = (
    "is not an answer; write approve, decline, expire, `{approve: [TARGET]}`, "
    "or the fields of the form"
)


def describe_errors(
    errors: Sequence[ErrorDetails], model: type[BaseModel]
) -> list[tuple[Place, str, bool]]:
    """Return place, message, and whether it is about the key there, in the order of the errors."""
    misspelt = {(place[:-1], fix) for place, fix in (_fix(error, model) for error in errors) if fix}
    found: dict[Place, tuple[str, bool]] = {}
    for error in errors:
        place = _plain(error["loc"])
        if error["type"] == "missing" and (place[:-1], f"did you mean {place[-1]!r}?") in misspelt:
            continue
        if "decide" in place and len(error["loc"]) > len(place):
            found[place[: place.index("decide") + 2]] = ("answer: " + _ANSWER, False)
        elif not _other_form(error):
            found.setdefault(
                place,
                (
                    _message(error, place, model),
                    error["type"] == "extra_forbidden" or "[key]" in error["loc"],
                ),
            )
    return [(place, words, key) for place, (words, key) in found.items()]


def _plain(location: Place) -> Place:
    return tuple(
        part for part in location if not (isinstance(part, str) and part.startswith(_BRANCHES))
    )


def _other_form(error: ErrorDetails) -> bool:
    """Return whether an error is about the form of a value that its author did not write."""
    branch = next(
        (
            part
            for part in error["loc"]
            if isinstance(part, str) and part.startswith(("function-", "DurationRange"))
        ),
        None,
    )
    if branch is None:
        return False
    meant_mapping = isinstance(error["input"], dict) or branch != error["loc"][-1]
    return (branch == "DurationRange") is not meant_mapping


def _message(error: ErrorDetails, place: Place, model: type[BaseModel]) -> str:
    name = ".".join(map(str, place)) or "a file of tests"
    match error["type"]:
        case "missing":
            return f"{name} is missing; add it"
        case "extra_forbidden":
            meant = _fix(error, model)[1]
            return f"unknown key {name}" + (f"; {meant}" if meant else "")
        case "literal_error":
            expected = error["ctx"]["expected"]
            words = [word.strip("'") for word in expected.replace(" or ", ", ").split(", ")]
            given = str(error["input"])
            fix = did_you_mean(given, words) or f"it is {expected}"
            return f"{name} cannot be {given[:60]!r}; {fix}"
        case "too_short":
            return f"{name} is empty; write at least one, or remove it"
        case kind if kind in WANTED:
            wanted = fix_of_type(kind, error["input"], place)
            return f"{name} is not {WANTED[kind]}" + (f"; {wanted}" if wanted else "")
        case _:
            return f"{name}: {error['msg'].removeprefix('Value error, ')}"


def _fix(error: ErrorDetails, model: type[BaseModel]) -> tuple[Place, str | None]:
    place = _plain(error["loc"])
    if error["type"] != "extra_forbidden":
        return place, None
    return place, did_you_mean(str(place[-1]), _keys_at(place[:-1], model))


def _keys_at(place: Place, model: type[BaseModel]) -> list[str]:
    """Return the keys that are allowed there."""
    for part in place:
        field = model.model_fields.get(str(part))
        model = _first_model(field.annotation) or model if field else model
    return list(model.model_fields)


def _first_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(
        (found for argument in get_args(annotation) if (found := _first_model(argument))), None
    )
