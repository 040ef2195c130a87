"""`tocsin debug`: step through a playbook on a staging stack."""

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

from orchestrator.cli.command import Answer, Api, api_command, noun
from orchestrator.cli.options import (
    parse_inputs,
    parse_optional_version,
    playbook_file,
    read_json_object,
    read_text,
)
from orchestrator.cli.output import print_json, print_line, print_raw, print_styled
from orchestrator.domain.errors import Invalid, TocsinError

app = noun("Step through a playbook on a staging stack.")

_HELP = """\
next (n)          go to the next step; a change is planned, not applied
continue (c)      continue to the next breakpoint
break PATH        stop before this step; clear PATH: remove the breakpoint
skip              skip this step
override JSON     use this result, without executing the step
apply             apply this step for real; asks for its target
keep              keep what is applied after the session, until its lease of an hour ends
show EXPRESSION   evaluate an expression at this step, or show the step with this path
where (w)         show the current step;  steps: show the state of each step
quit (q)          end; what was applied is rolled back"""
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
_POLL_SECONDS = 0.5

SessionId = Annotated[str, typer.Argument(metavar="ID", help="The session's id.")]


@api_command(app, "start")
def start(
    api: Api,
    what: Annotated[
        str, typer.Argument(metavar="NAME[@VERSION]|FOLDER", help="A version, a file or a folder.")
    ],
    alert: Annotated[
        str | None, typer.Option(metavar="FILE|ID", help="An alert in a file, or an alert's id.")
    ] = None,
    product: Annotated[
        str | None,
        typer.Option(help="The product whose format the file has; without it, the normal form."),
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", help="An input: name=TEXT, or name:=JSON. Repeatable."),
    ] = None,
    breakpoints: Annotated[
        list[str] | None,
        typer.Option("--break", metavar="PATH", help="Stop before this step, not before each."),
    ] = None,
) -> Answer:
    """Step through a playbook: real reads and plans, changes only by `apply`. Staging only.

    Commands are read from the terminal or a pipe: next, continue, break, skip, override, apply,
    keep, show, quit. `help` describes them.
    """
    body = {**_playbook(what), **_alert(alert, product), "breakpoints": breakpoints or []}
    body["inputs"] = parse_inputs(inputs)
    console = _Console(api, api.post("/v1/debug-sessions", body))
    try:
        console.run()
    finally:
        console.end()
    return Answer(console.state)


@api_command(app, "show")
def show(api: Api, session_id: SessionId) -> Answer:
    """Show one of your sessions."""
    state = api.get(f"/v1/debug-sessions/{session_id}")
    return Answer(state, lambda: print_json(state))


@api_command(app, "end")
def end(api: Api, session_id: SessionId) -> Answer:
    """End one of your sessions; what it applied is rolled back, unless it is kept."""
    return Answer(api.delete(f"/v1/debug-sessions/{session_id}"), f"session {session_id} ended")


class _Console:
    """One session, driven by lines from a terminal or a pipe."""

    def __init__(self, api: Api, state: dict[str, Any]) -> None:
        self._api = api
        self.state = state
        self._path = f"/v1/debug-sessions/{state['id']}"

    def run(self) -> None:
        """Execute commands until the session is over or the input ends."""
        self._print_position()
        lines = _lines()
        while self.state["phase"] != "over":
            if self._execute(next(lines, "quit"), lines):
                return

    def end(self) -> None:
        """End the session, and print what becomes of the changes that it applied."""
        with suppress(TocsinError):
            self.state = self._api.delete(self._path)
        for each in self.state["applied"]:
            what = f"{each['path']} on {each['target']} (run {each['run_id']}, {each['status']})"
            print_line(f"{what}: {_fate(each)}")

    def _execute(self, line: str, lines: Iterator[str]) -> bool:
        """Execute one line; return whether to quit."""
        word, _, rest = line.strip().partition(" ")
        word = _SHORT.get(word, word)
        match word:
            case "":
                return False
            case "quit":
                return True
            case "help":
                print_line(_HELP)
                return False
            case "where":
                self._print_position()
                return False
            case "steps":
                self._print_steps()
                return False
        try:
            self._send(self._command(word, rest.strip(), lines))
        except TocsinError as error:
            print_line(str(error))
        return False

    def _command(self, word: str, rest: str, lines: Iterator[str]) -> dict[str, Any]:
        if word == "apply":
            return {"command": "apply", "target": rest or self._ask_target(lines)}
        if word == "override":
            try:
                return {"command": "override", "result": json.loads(rest)}
            except ValueError as error:
                raise Invalid(f"override: the result is not JSON: {error}") from error
        if word in _ARGUMENT and not rest:
            raise Invalid(f"{word} needs {_ARGUMENT[word]}; see `help`")
        if word not in {"next", "continue", "skip", "keep", *_ARGUMENT}:
            raise Invalid(f"unknown command {shlex.quote(word)}; see `help`")
        argument = {_ARGUMENT[word]: rest} if word in _ARGUMENT else {}
        return {"command": word, **argument}

    def _ask_target(self, lines: Iterator[str]) -> str:
        planned = (self.state["at"] or {}).get("planned")
        if planned is None:
            raise Invalid("apply: no change is planned here")
        print_line(f"{planned['summary']}: type the target to apply this for real")
        return next(lines, "").strip()

    def _send(self, command: dict[str, Any]) -> None:
        before = {(each["path"], each["state"]) for each in self.state["steps"]}
        self.state = self._api.post(f"{self._path}/commands", command)
        self._wait()
        if self.state["message"]:
            print_line(self.state["message"])
        if command["command"] in {"show", "break", "clear", "keep"}:
            return
        here = (self.state["at"] or {}).get("path")
        for each in self.state["steps"]:
            if (each["path"], each["state"]) not in before and each["path"] != here:
                error = f": {each['error']}" if each["error"] else ""
                print_line(f"  {each['path']}: {each['state']}{error}")
        self._print_position()

    def _wait(self) -> None:
        """Poll while a step executes."""
        while self.state["phase"] in {"working", "applying"}:
            if self.state["phase"] == "applying" and (run := self.state["applied"][-1:]):
                print_line(
                    f"run {run[0]['run_id']} in progress; if it needs approval, see "
                    "`tocsin approval list`"
                )
            time.sleep(_POLL_SECONDS)
            self.state = self._api.get(self._path)

    def _print_steps(self) -> None:
        for each in self.state["steps"]:
            result = "" if each["result"] is None else f" {_json(each['result'])}"
            print_line(f"  {each['path']}: {each['state']}{result}")

    def _print_position(self) -> None:
        at = self.state["at"]
        if at is None:
            error = f": {self.state['error']}" if self.state["error"] else ""
            print_line(f"{self.state['playbook']}: {self.state['result']}{error}")
            return
        print_styled(f"{at['path']}  {at['uses'] or at['kind']}", "bold")
        if at["inputs"] is not None:
            print_line(f"  inputs: {_json(at['inputs'])}")
        if planned := at["planned"]:
            already = "" if planned["changed"] else " (already in the desired state)"
            print_line(f"  change: {planned['summary']}{already}")
            reasons = f": {'; '.join(planned['reasons'])}" if planned["reasons"] else ""
            print_line(f"  policy: {planned['verdict']}{reasons}")
        for name, label in (("asked", "would ask"), ("problem", "unknown")):
            if at[name]:
                print_line(f"  {label}: {at[name]}")


def _fate(applied: dict[str, Any]) -> str:
    if applied["kept"]:
        return "kept until its lease ends"
    if applied["undone"]:
        return "undone"
    return "undo in progress" if applied["can_be_undone"] else "cannot be undone"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _lines() -> Iterator[str]:
    """Yield lines of the input, with a prompt on a terminal."""
    while True:
        if sys.stdin.isatty():
            print_raw("debug> ")
        line = sys.stdin.readline()
        if not line:
            return
        yield line


def _playbook(what: str) -> dict[str, Any]:
    path = Path(what)
    if path.exists():
        return {"text": read_text(playbook_file(path))}
    name, version = parse_optional_version(what)
    return {"name": name, **({"version": version} if version else {})}


def _alert(alert: str | None, product: str | None) -> dict[str, Any]:
    if alert is None:
        return {}
    path = Path(alert)
    if not path.exists():
        return {"alert_id": alert}
    return {"alert": read_json_object(path), **({"product": product} if product else {})}
