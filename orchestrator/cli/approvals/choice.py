"""What a person decides on the command line, and how they agree to what they were shown."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import typer

from orchestrator.domain.errors import Invalid

_BOOLEANS = {"true": True, "yes": True, "false": False, "no": False}


class Choice(NamedTuple):
    """What a person decides."""

    decision: Literal["approve", "decline"]
    comment: str = ""
    changes: list[str] | None = None
    fields: list[str] | None = None


def question(choice: Choice) -> str:
    """Return the words that ask whether the person agrees, without a question mark."""
    if choice.decision == "decline":
        return "Decline"
    if choice.fields is not None:
        return f"Send {', '.join(choice.fields) or 'the empty form'}"
    part = f" {len(choice.changes)} of the changes" if choice.changes else ""
    return f"Approve{part}"


def agree(asked: str, *, yes: bool, alternative: str) -> None:
    """Return once the person agrees to what was shown. Raise Invalid if they do not.

    `alternative`: what a script can do instead of `--yes`, or empty.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise Invalid(f"no terminal to ask on; add --yes to decide what is shown{alternative}")
    sys.stderr.write(f"{asked}? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise Invalid("nothing was decided")


def read_form(form: dict[str, Any], given: Sequence[str]) -> dict[str, Any]:
    """Return the values of `NAME=VALUE`, typed as the form wants them. Raise Invalid."""
    values: dict[str, Any] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals and form.get(name, {}).get("type") == "secret":
            equals, value = "=", typer.prompt(name, hide_input=True)
        if not equals or name in values:
            problem = "is given twice" if equals else "has no value"
            raise Invalid(f"--field {name}: {problem}; write --field NAME=VALUE once per field")
        values[name] = _typed(name, form.get(name, {}).get("type"), value)
    return values


def _typed(name: str, kind: str | None, value: str) -> Any:
    match kind:
        case "boolean":
            if value.lower() not in _BOOLEANS:
                raise Invalid(f"--field {name}: write true or false, not {value!r}")
            return _BOOLEANS[value.lower()]
        case "integer":
            try:
                return int(value)
            except ValueError:
                raise Invalid(f"--field {name}: write a whole number, not {value!r}") from None
        case _:
            return value
