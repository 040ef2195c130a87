"""`tocsin run watch`: what a run does, line by line, until it ends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from orchestrator.cli.command import Answer, Api
from orchestrator.cli.commands.respond.run_lines import format_heading, format_waiting
from orchestrator.cli.exit_codes import ExitCode
from orchestrator.cli.ids import find_id
from orchestrator.cli.output import print_error, print_line
from orchestrator.cli.tables import format_time
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.run import RunStatus

Seen = dict[str, tuple[str, str]]
"""The last state of each step, and what it waited for, by its path."""

_INTERVAL = 1.0  # seconds
_PATIENCE = 30  # times that the API may not answer before the command gives up


def watch_run(
    api: Api,
    run_id: Annotated[str, typer.Argument(metavar="ID", help="The run's id.")],
    interval: Annotated[
        float, typer.Option(min=0.1, max=60, metavar="SECONDS", help="How often to look.")
    ] = _INTERVAL,
) -> Answer:
    """Print what a run does as it happens, until it ends.

    Exit code 0: the run completed; 1: it ended otherwise.
    """
    seen: Seen = {}
    run_id = find_id(api, "/v1/runs", run_id)
    run = _look(api, run_id, interval)
    print_line(format_heading(run))
    while True:
        for line in step_changes(seen, run):
            print_line(line)
        if not RunStatus(run["status"]).open:
            break
        time.sleep(interval)
        run = _look(api, run_id, interval)
    completed = run["status"] == RunStatus.COMPLETED
    code = ExitCode.DONE if completed else ExitCode.NEGATIVE
    return Answer(run, format_heading(run), code)


def step_changes(seen: Seen, run: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each step whose state, or what it waits for, changed; update `seen`."""
    for step in run["steps"]:
        now = (step["state"], format_waiting(step["waiting_for"]))
        if seen.get(step["id"]) == now:
            continue
        seen[step["id"]] = now
        state, waiting = now
        detail = waiting or step["error"] or _summary(step)
        at = format_time(step["ended_at"] or step["started_at"], wide=True)
        yield f"{at}  {step['id']}: {state}" + (f": {detail}" if detail else "")


def _summary(step: dict[str, Any]) -> str:
    planned = step["planned_change"] or {}
    return str(planned.get("summary") or "")


def _look(api: Api, run_id: str, interval: float) -> dict[str, Any]:
    """Return the run. Raise Unavailable when the API does not answer for a while."""
    for attempt in range(_PATIENCE):
        try:
            run: dict[str, Any] = api.get(f"/v1/runs/{run_id}")
        except Unavailable as error:
            if attempt == _PATIENCE - 1:
                raise
            print_error(f"tocsin: {error}; trying again")
            time.sleep(interval)
        else:
            return run
    raise AssertionError("unreachable")
