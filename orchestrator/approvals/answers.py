"""Does an answer fit its question? The form's fields, and the choice among the changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter

from orchestrator.domain.errors import Invalid
from orchestrator.playbook.plan import FormField

MAX_TEXT = 4000
MAX_INTEGER = 2**53 - 1
_FORM = TypeAdapter(dict[str, FormField])


def fitting_form(written: Mapping[str, Any], given: Mapping[str, Any] | None) -> dict[str, Any]:
    """The filled form, null for what was left out. Raises Invalid naming each field that does not fit."""
    fields = _FORM.validate_python(written)
    given = given or {}
    problems = [
        f"{name}: there is no such field; there are: {', '.join(fields)}"
        for name in given
        if name not in fields
    ]
    problems += [
        problem
        for name, field in fields.items()
        if (problem := _problem(name, field, given.get(name)))
    ]
    if problems:
        raise Invalid("; ".join(problems))
    return {name: given.get(name) for name in fields}


def fitting_choice(asked: Sequence[str], chosen: Sequence[str] | None) -> list[str] | None:
    """The chosen changes, None for all. Raises Invalid for an empty choice or one that was not asked about."""
    if chosen is None:
        return None
    if strange := [change for change in chosen if change not in asked]:
        raise Invalid(
            f"{strange[0][:80]!r} is none of the changes asked about; take `digest` of the planned_changes"
        )
    if asked and not chosen:
        raise Invalid("no change is chosen; decline instead")
    return list(dict.fromkeys(chosen)) or None


def _problem(name: str, field: FormField, value: Any) -> str | None:
    if value is None:
        return f"{name}: is missing ({field.label})" if field.required else None
    match field.type:
        case "text":
            fits = (
                isinstance(value, str)
                and len(value) <= MAX_TEXT
                and not (field.required and not value.strip())
            )
            return None if fits else f"{name}: give a text of 1 to {MAX_TEXT} characters"
        case "boolean":
            return None if isinstance(value, bool) else f"{name}: give true or false"
        case "integer":
            fits = (
                isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_INTEGER
            )
            return None if fits else f"{name}: give a whole number"
        case "choice":
            return (
                None
                if value in field.choices
                else f"{name}: give one of: {', '.join(field.choices)}"
            )
