"""`tocsin playbook debug`: go through a playbook step by step, on a staging stack."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from orchestrator.cli.api_client import Remote, Url, remote
from orchestrator.cli.options import Config, DataDir, json_object, pair, read_text
from orchestrator.cli.output import console, say
from orchestrator.domain.errors import Invalid, TocsinError

_HELP = """\
next (n)          go to the next step; a change is planned, not made
continue (c)      go on to the next breakpoint
break PATH        stop before this step; clear PATH: no more
skip              leave this step out
override JSON     this step comes to this result, and is not done
apply             carry this step out for real; asks for its target
keep              what is applied stays after the session, until its lease of an hour ends
show EXPRESSION   an expression as this step sees it, or the path of a step
where (w)         where it stands;  steps: what came of each
quit (q)          end; what was applied is taken back"""
_SHORT = {
    "n": "next",
    "step": "next",
    "s": "next",
    "c": "continue",
    "b": "break",
    "q": "quit",
    "w": "where",
    "p": "show",
    "h": "help",
}
_ARGUMENT = {"break": "path", "clear": "path", "show": "expression"}
_LOOK_SECONDS = 0.5


def debug(
    what: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FOLDER",
            help="A published playbook (NAME or NAME@VERSION), or a file or folder.",
        ),
    ],
    alert: Annotated[
        str | None,
        typer.Option(metavar="FILE|ID", help="An alert in a file, or the id of one that came."),
    ] = None,
    product: Annotated[
        str | None,
        typer.Option(
            help="Which product sends the file's alert so; else it is in the normal form."
        ),
    ] = None,
    given: Annotated[
        list[str] | None, typer.Option("--input", help="An input: name=value.")
    ] = None,
    breaks: Annotated[
        list[str] | None,
        typer.Option("--break", metavar="STEP", help="Stop before this step; else before each."),
    ] = None,
    url: Url = None,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Go through a playbook step by step: real reads, real plans, and nothing applied unless told for that step. Staging only.

    Commands come from the keyboard or from a pipe: next, continue, break, skip, override, apply, keep, show, quit; `help` says more.
    """
    body = {**_playbook(what), **_alert(alert, product), "breakpoints": breaks or []}
    inputs = dict(pair(text, "--input") for text in given or [])
    api = remote(data_dir, config, url)
    console_ = _Console(api, api.post("/v1/debug-sessions", {**body, "inputs": inputs}))
    try:
        console_.until_over()
    finally:
        console_.end()
        api.close()


class _Console:
    """One session at the keyboard, or at the end of a pipe."""

    def __init__(self, api: Remote, state: dict[str, Any]) -> None:
        self._api = api
        self._state = state
        self._path = f"/v1/debug-sessions/{state['id']}"

    def until_over(self) -> None:
        self._show()
        lines = _lines()
        while self._state["standing"] != "over":
            line = next(lines, "quit")
            if self._done(line, lines):
                return

    def end(self) -> None:
        """Whatever became of the terminal. What was applied is said, as it is taken back by the stack."""
        with suppress(TocsinError):
            self._state = self._api.delete(self._path)
        for each in self._state["applied"]:
            kept = (
                "stays until its lease ends"
                if each["kept"]
                else "is being taken back"
                if each["can_be_undone"]
                else "cannot be taken back"
            )
            say(
                f"{each['path']} on {each['target']} (run {each['run_id']}, {each['status']}) {kept}"
            )

    def _done(self, line: str, lines: Iterator[str]) -> bool:
        """Whether the session is to end."""
        word, _, rest = line.strip().partition(" ")
        word = _SHORT.get(word, word)
        match word:
            case "":
                return False
            case "quit":
                return True
            case "help":
                say(_HELP)
                return False
            case "where":
                self._show()
                return False
            case "steps":
                self._steps()
                return False
        try:
            self._tell(self._command(word, rest.strip(), lines))
        except TocsinError as error:
            say(str(error))
        return False

    def _command(self, word: str, rest: str, lines: Iterator[str]) -> dict[str, Any]:
        if word == "apply":
            return {"command": "apply", "target": rest or self._typed(lines)}
        if word == "override":
            try:
                return {"command": "override", "result": json.loads(rest)}
            except ValueError as error:
                raise Invalid(f"override takes the result as JSON: {error}") from error
        argument = {_ARGUMENT[word]: rest} if word in _ARGUMENT else {}
        if word in _ARGUMENT and not rest:
            raise Invalid(f"{word} needs something after it; see `help`")
        if word not in {"next", "continue", "skip", "keep", *_ARGUMENT}:
            raise Invalid(f"there is no command {shlex.quote(word)}; see `help`")
        return {"command": word, **argument}

    def _typed(self, lines: Iterator[str]) -> str:
        planned = (self._state["at"] or {}).get("planned")
        if planned is None:
            raise Invalid("there is nothing to apply here")
        say(f"{planned['summary']}: type the target to carry it out for real")
        return next(lines, "").strip()

    def _tell(self, command: dict[str, Any]) -> None:
        seen = {each["path"] for each in self._state["steps"]}
        self._state = self._api.post(f"{self._path}/commands", command)
        while self._state["standing"] in {"working", "applying"}:
            if self._state["standing"] == "applying" and (run := self._state["applied"][-1:]):
                say(
                    f"run {run[0]['run_id']} goes on; if it asks people, see `tocsin approval list`"
                )
            time.sleep(_LOOK_SECONDS)
            self._state = self._api.get(self._path)
        if self._state["said"]:
            say(self._state["said"])
        if command["command"] in {"show", "break", "clear", "keep"}:
            return
        here = (self._state["at"] or {}).get("path")
        for each in self._state["steps"]:
            if each["path"] not in seen and each["path"] != here:
                say(
                    f"  {each['path']}: {each['state']}{': ' + each['error'] if each['error'] else ''}"
                )
        self._show()

    def _steps(self) -> None:
        for each in self._state["steps"]:
            say(
                f"  {each['path']}: {each['state']} {json.dumps(each['result'], ensure_ascii=False) if each['result'] is not None else ''}"
            )

    def _show(self) -> None:
        at = self._state["at"]
        if at is None:
            say(
                f"{self._state['playbook']}: {self._state['result']}{': ' + self._state['error'] if self._state['error'] else ''}"
            )
            return
        console.print(Text(f"{at['path']}  {at['uses'] or at['kind']}", style="bold"))
        if at["inputs"] is not None:
            say(f"  inputs: {json.dumps(at['inputs'], ensure_ascii=False)}")
        if at["planned"]:
            planned = at["planned"]
            say(
                f"  would: {planned['summary']}{'' if planned['changed'] else ' (it is so already)'}"
            )
            say(
                f"  policy: {planned['verdict']}{': ' + '; '.join(planned['reasons']) if planned['reasons'] else ''}"
            )
        for name, words in (("asked", "would ask"), ("problem", "cannot be told")):
            if at[name]:
                say(f"  {words}: {at[name]}")


def _lines() -> Iterator[str]:
    """With a prompt where somebody sits at it."""
    while True:
        if sys.stdin.isatty():
            console.print("debug> ", end="")
        line = sys.stdin.readline()
        if not line:
            return
        yield line


def _playbook(what: str) -> dict[str, Any]:
    path = Path(what)
    if path.exists():
        return {"text": read_text(path / "playbook.yaml" if path.is_dir() else path)}
    name, _, version = what.partition("@")
    if version and not version.isdigit():
        raise Invalid(f"{what}: there is no such file; give a file, a folder, or NAME@VERSION")
    return {"name": name, **({"version": int(version)} if version else {})}


def _alert(alert: str | None, product: str | None) -> dict[str, Any]:
    if alert is None:
        return {}
    path = Path(alert)
    if not path.exists():
        return {"alert_id": alert}
    return {"alert": json_object(path), **({"product": product} if product else {})}
