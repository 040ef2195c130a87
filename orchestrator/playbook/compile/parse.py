"""Parsing: the YAML of a playbook becomes a PlaybookSpec, and every error of form is reported.

A malformed step is taken out and its id is kept. The data flow of the other steps can then still be
checked, and the author sees all errors at once.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from orchestrator.playbook.compile.diagnostics import STEP_LISTS, Diagnostics, is_step, value_at
from orchestrator.playbook.compile.form_errors import describe_error
from orchestrator.playbook.language.yaml import Document, Path
from orchestrator.playbook.problems import did_you_mean
from orchestrator.playbook.schema.fields import ID
from orchestrator.playbook.schema.playbook import PlaybookSpec
from orchestrator.playbook.schema.steps import TAGGED


@dataclass(frozen=True, slots=True)
class ParsedPlaybook:
    """A playbook, as far as it could be parsed."""

    playbook: PlaybookSpec
    broken: frozenset[str] = frozenset()  # ids of steps that could not be parsed
    inputs_known: bool = True


def parse_playbook(document: Document, diagnostics: Diagnostics) -> ParsedPlaybook | None:
    """Parse a document and report its errors of form. None if too little could be parsed."""
    if not isinstance(document.data, dict):
        diagnostics.add((), "a playbook must be a mapping", "start with `playbook: NAME`")
        return None
    empty = list(_empty(document.data, ()))
    for path in empty:
        diagnostics.add(
            path,
            f"{path[-1]!r} is empty",
            "give it a value, or remove it",
            key=isinstance(path[-1], str),
        )
    errors = _without_misspelled(_errors(document.data))
    for error in errors:
        path = _path(error["loc"])
        if path not in empty:
            known = _keys_at(error["loc"][:-1])
            message = describe_error(error, path, known)
            diagnostics.add(path, *message, key=error["type"] == "extra_forbidden")
    wrong = [*empty, *(_path(error["loc"]) for error in errors)]
    if wrong:
        return _salvage(document.data, wrong)
    return ParsedPlaybook(PlaybookSpec.model_validate(document.data))


_FREE = frozenset({"with", "default", "for_each"})  # where null is an ordinary value


def _empty(data: Any, path: Path) -> Iterator[Path]:
    """Yield keys without a value: an empty `approve:` or `when:` must not count as absent."""
    if data is None:
        yield path
    elif isinstance(data, dict):
        for key, value in data.items():
            if key not in _FREE or (value is None and key != "default"):
                yield from _empty(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from _empty(value, (*path, index))


def _errors(data: Any) -> list[ErrorDetails]:
    try:
        PlaybookSpec.model_validate(data)
    except ValidationError as error:
        return error.errors(include_url=False)
    return []


def _without_misspelled(errors: list[ErrorDetails]) -> list[ErrorDetails]:
    """Drop errors that report a key as missing that is only misspelled."""
    extra = [error["loc"] for error in errors if error["type"] == "extra_forbidden"]
    mends = {(where[:-1], did_you_mean(str(where[-1]), _keys_at(where[:-1]))) for where in extra}
    return [
        error
        for error in errors
        if error["type"] != "missing"
        or (error["loc"][:-1], f"did you mean {error['loc'][-1]!r}?") not in mends
    ]


def _path(location: tuple[str | int, ...]) -> Path:
    """Return the YAML path of a pydantic location, without its tags. A missing key ends it."""
    return tuple(
        part
        for part in location
        if not (isinstance(part, str) and (part.startswith("~") or part == "[key]"))
    )


def _keys_at(location: tuple[str | int, ...]) -> list[str]:
    """Return the keys that an author may write at a location."""
    model: type[BaseModel] = PlaybookSpec
    for part in location:
        if isinstance(part, str) and part in TAGGED:
            model = TAGGED[part]
        elif isinstance(part, str) and (found := _model_of(model, part)):
            model = found
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_of(model: type[BaseModel], key: str) -> type[BaseModel] | None:
    for name, field in model.model_fields.items():
        if key == (field.alias or name):
            return _first_model(field.annotation)
    return None


def _first_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return None if annotation in TAGGED.values() else annotation
    return next(
        (found for argument in get_args(annotation) if (found := _first_model(argument))), None
    )


_OPTIONAL = frozenset({"when", "retry", "timeout", "on_error", "approve", "for"})
"""Keys without which a step can still be checked."""
_PLACEHOLDERS: dict[str, Any] = {
    "playbook": "unnamed",
    "version": 1,
    "title": "unnamed",
    "owner": "unnamed",
}


def _salvage(data: dict[str, Any], wrong: list[Path]) -> ParsedPlaybook | None:
    rest = copy.deepcopy(data)
    broken: set[str] = set()
    for path in sorted(wrong, key=len):
        step = _step_of(path)
        if step and len(path) > len(step) and path[len(step)] in _OPTIONAL:
            _remove(rest, step, str(path[len(step)]))
        elif step:
            broken |= set(_ids(value_at(data, step)))
            _replace(rest, step, f"unreadable_{len(broken)}")
        else:
            rest.pop(str(path[0]) if path else "", None)
    kept = {key: value for key, value in rest.items() if key in PlaybookSpec.model_fields}
    if _errors(candidate := {**_PLACEHOLDERS, **kept}):
        return None
    return ParsedPlaybook(
        PlaybookSpec.model_validate(candidate),
        frozenset(broken),
        inputs_known=not any(path[:1] == ("inputs",) for path in wrong),
    )


def _remove(data: Any, step: Path, key: str) -> None:
    found = value_at(data, step)
    if isinstance(found, dict):
        found.pop(key, None)


def _step_of(path: Path) -> Path | None:
    return next((path[:end] for end in range(len(path), 1, -1) if is_step(path[:end])), None)


def _ids(data: Any) -> Iterator[str]:
    """Yield the ids of a step and of all steps inside of it, as far as they can be read."""
    if isinstance(data, list):
        for part in data:
            yield from _ids(part)
    elif isinstance(data, dict):
        if isinstance(data.get("id"), str):
            yield data["id"]
        for key, value in data.items():
            if key in STEP_LISTS or key in {"choose", "repeat"}:
                yield from _ids(value)


def _replace(data: Any, step: Path, name: str) -> None:
    """Replace a step that cannot be parsed by a pause, unless an outer step was replaced before."""
    steps = value_at(data, step[:-1])
    if isinstance(steps, list) and isinstance(step[-1], int) and step[-1] < len(steps):
        old = steps[step[-1]]
        own = old.get("id") if isinstance(old, dict) else None
        steps[step[-1]] = {
            "id": own if isinstance(own, str) and re.fullmatch(ID, own) else name,
            "wait": "1s",
        }
