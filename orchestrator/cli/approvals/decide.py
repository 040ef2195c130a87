"""Decisions on the command line: shown first, then confirmed, then bound to what was shown."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import typer

from orchestrator.cli.api_client import Api
from orchestrator.cli.approvals.find import find_approval
from orchestrator.cli.approvals.render import outcome, render_approval
from orchestrator.cli.command import Answer
from orchestrator.cli.exit_codes import ExitCode
from orchestrator.cli.output import print_error
from orchestrator.domain.errors import Invalid, TocsinError

_BOOLEANS = {"true": True, "yes": True, "false": False, "no": False}


class Choice(NamedTuple):
    """What a person decides."""

    decision: Literal["approve", "decline"]
    comment: str = ""
    changes: list[str] | None = None
    fields: list[str] | None = None


def decide_all(
    api: Api, names: Sequence[str], choice: Choice, digest: str | None, *, yes: bool
) -> Answer:
    """Decide approvals one by one, each shown and confirmed. Raise Invalid for a wrong mix.

    With several, one that is refused does not stop the others.
    """
    if len(names) == 1:
        done = _decide(api, names[0], choice, digest, yes=yes)
        return Answer(done, outcome(done))
    if digest is not None or choice.changes or choice.fields is not None:
        raise Invalid("--digest, --change and --field are about one approval; give one ID")
    decided: list[dict[str, Any]] = []
    refused = 0
    for name in names:
        try:
            decided.append(_decide(api, name, choice, None, yes=yes))
        except TocsinError as error:
            refused += 1
            print_error(f"{name}: {error}")
    code = ExitCode.NEGATIVE if refused else ExitCode.DONE
    return Answer(decided, "\n".join(map(outcome, decided)), code)


def confirmed(
    api: Api, name: str, question: str, digest: str | None, *, yes: bool
) -> dict[str, Any]:
    """Show an approval, and return it once the person agreed. Raise Invalid if they did not.

    With a digest nothing is shown: the caller knows what it covers.
    """
    approval = find_approval(api, name)
    if digest is not None:
        return approval
    for line in render_approval(approval):
        print_error(line)
    if yes:
        return approval
    if not sys.stdin.isatty():
        raise Invalid(
            "no terminal to ask on; add --yes to decide what is shown, or --digest D with the "
            f"digest of `tocsin approval show {approval['id']}`"
        )
    sys.stderr.write(f"{question}? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise Invalid("nothing was decided")
    return approval


def _decide(
    api: Api, name: str, choice: Choice, digest: str | None, *, yes: bool
) -> dict[str, Any]:
    approval = confirmed(api, name, _question(choice), digest, yes=yes)
    body: dict[str, Any] = {
        "decision": choice.decision,
        "digest": digest or approval["digest"],
        "comment": choice.comment,
    }
    if choice.changes:
        body["changes"] = choice.changes
    if choice.fields is not None:
        body["form"] = _form(approval["form"] or {}, choice.fields)
    done: dict[str, Any] = api.post(f"/v1/approvals/{approval['id']}/decide", body)
    return done


def _question(choice: Choice) -> str:
    if choice.decision == "decline":
        return "Decline"
    if choice.fields is not None:
        return f"Send {', '.join(choice.fields) or 'the empty form'}"
    part = f" {len(choice.changes)} of the changes" if choice.changes else ""
    return f"Approve{part}"


def _form(form: dict[str, Any], given: Sequence[str]) -> dict[str, Any]:
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
