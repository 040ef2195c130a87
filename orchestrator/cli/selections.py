"""Commands that change many objects at once: shown first, then confirmed, then done as shown."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Any

from orchestrator.cli.api_client import Api
from orchestrator.cli.command import Answer
from orchestrator.cli.exit_codes import ExitCode
from orchestrator.cli.output import print_error
from orchestrator.domain.errors import Invalid

_SECONDS = 300.0  # for a change of many objects
_REFUSED = "refused"


def choice(
    api: Api, names: list[str], find: Callable[[Api, str], str], conditions: dict[str, Any]
) -> dict[str, Any]:
    """Return the part of a request that chooses objects by id or by filter. Raise Invalid."""
    given = {name: value for name, value in conditions.items() if value not in (None, [])}
    if names and given:
        raise Invalid("name objects, or give options that choose them, but not both")
    if not names and not given:
        raise Invalid("name what is meant, or give options that choose it, such as --since 2h")
    return {"ids": [find(api, name) for name in names]} if names else {"filter": given}


def change_all(
    api: Api,
    path: str,
    body: dict[str, Any],
    show: Callable[[list[dict[str, Any]]], None],
    *,
    verb: str,
    noun: str,
    yes: bool,
) -> Answer:
    """Show what a request changes, and send it once the person agreed. Raise Invalid otherwise.

    `show` prints the items of the preview. `noun`: in the plural.
    """
    preview = api.post(path, {**body, "preview": True}, seconds=_SECONDS)
    count = preview["count"]
    if not count:
        return Answer(preview, f"no {noun} fit")
    with redirect_stdout(sys.stderr):
        show(preview["items"])
    for item in preview["items"]:
        if item["reason"]:
            print_error(f"{item['id']}: {item['reason']}")
    if more := count - len(preview["items"]):
        print_error(f"and {more} more")
    confirm(f"{verb.capitalize()} {count} {noun}", verb, noun, yes=yes)
    seen = {"count": count, "digest": preview["digest"]}
    done = api.post(path, {**body, **seen}, seconds=_SECONDS)
    refused = [item for item in done["items"] if item["result"] == _REFUSED]
    for item in refused:
        print_error(f"{item['id']}: {item['reason']}")
    code = ExitCode.NEGATIVE if refused else ExitCode.DONE
    requested = f"{len(done['items']) - len(refused)} {noun}: {verb} requested"
    return Answer(done, f"{requested}; {len(refused)} refused" if refused else requested, code)


def confirm(question: str, verb: str, noun: str, *, yes: bool) -> None:
    """Return once the person agreed on a terminal, or beforehand (`yes`). Raise Invalid."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Invalid(f"no terminal to ask on; add --yes to {verb} the {noun} that are shown")
    ask(question)


def ask(question: str) -> None:
    """Ask on the terminal. Raise Invalid without a y."""
    sys.stderr.write(f"{question}? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise Invalid("nothing was changed")
