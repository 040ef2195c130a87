"""Validation of what a person sends with a decision: form values, chosen changes, and a comment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter

from orchestrator.crypto.box import Box
from orchestrator.domain.errors import Invalid
from orchestrator.domain.masking import SEALED
from orchestrator.playbook.plan import FormField

MAX_COMMENT = 4000
MAX_TEXT = 4000
MAX_INTEGER = 2**53 - 1
_FORM = TypeAdapter(dict[str, FormField])


def seal_answers(
    box: Box, approval_id: str, written: Mapping[str, Any], answers: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a filled form with its secret answers encrypted, bound to the approval."""
    fields = _FORM.validate_python(written)
    return {
        name: SEALED + box.seal_text(value, _context(approval_id, name))
        if isinstance(value, str) and fields[name].is_secret(name)
        else value
        for name, value in answers.items()
    }


def sealing_keys(box: Box, form: Mapping[str, Any]) -> set[str]:
    """Return the ids of the keys that encrypted answers of a form. Raise Invalid."""
    return {box.key_id_of_text(sealed) for sealed in _sealed(form).values()}


def reseal_answers(box: Box, approval_id: str, form: Mapping[str, Any]) -> dict[str, Any]:
    """Return a form with its secret answers encrypted by the newest key. Raise Invalid."""
    again = {}
    for name, sealed in _sealed(form).items():
        context = _context(approval_id, name)
        again[name] = SEALED + box.seal_text(box.open_text(sealed, context), context)
    return {**form, **again}


def _sealed(form: Mapping[str, Any]) -> dict[str, str]:
    """Return the encrypted answers of a form, without the mark."""
    return {
        name: value.removeprefix(SEALED)
        for name, value in form.items()
        if isinstance(value, str) and value.startswith(SEALED)
    }


def _context(approval_id: str, name: str) -> bytes:
    return f"form:{approval_id}:{name}".encode()


def validate_form(written: Mapping[str, Any], given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the filled form, with null for omitted fields. Raise Invalid naming each bad field."""
    fields = _FORM.validate_python(written)
    given = given or {}
    problems = [
        f"{name}: unknown field; the fields are: {', '.join(fields)}"
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


def validate_choice(asked: Sequence[str], chosen: Sequence[str] | None) -> list[str] | None:
    """Return the chosen changes, None for all. Raise Invalid for an empty or a foreign choice."""
    if chosen is None:
        return None
    if unknown := [change for change in chosen if change not in asked]:
        raise Invalid(
            f"changes: the approval has no change {unknown[0][:80]!r}; use the `digest` of its"
            " planned changes"
        )
    if asked and not chosen:
        raise Invalid("changes: no change is chosen; decline instead")
    return list(dict.fromkeys(chosen)) or None


def check_comment(comment: str, name: str = "comment") -> None:
    """Raise Invalid for a comment that is too long."""
    if len(comment) > MAX_COMMENT:
        raise Invalid(f"{name}: at most {MAX_COMMENT} characters")


def _problem(name: str, field: FormField, value: Any) -> str | None:
    if value is None:
        return f"{name}: is required ({field.label})" if field.required else None
    match field.type:
        case "text" | "secret":
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
            known = ", ".join(field.choices)
            return None if value in field.choices else f"{name}: give one of: {known}"
