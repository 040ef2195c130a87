"""`tocsin run`: runs of playbooks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from orchestrator.cli.command import Answer, Api, api_command, noun, table
from orchestrator.cli.commands.respond.run_lines import (
    format_foreseen_change,
    format_heading,
    format_waiting,
)
from orchestrator.cli.commands.respond.run_watch import watch_run
from orchestrator.cli.exit_codes import ExitCode
from orchestrator.cli.filters import (
    AlertClass,
    EndedSince,
    EndedUntil,
    ErrorText,
    Incident,
    Observable,
    Oldest,
    Person,
    Playbook,
    Severity,
    Since,
    Source,
    Target,
    Until,
    ended,
    period,
    sort,
)
from orchestrator.cli.ids import find_id
from orchestrator.cli.options import Limit, Yes, parse_inputs, read_text, write_text
from orchestrator.cli.output import print_error, print_line
from orchestrator.cli.selections import change_all, choice
from orchestrator.cli.tables import print_table

app = noun("Runs of playbooks.")

RunId = Annotated[str, typer.Argument(metavar="ID", help="The run's id.")]
RunIds = Annotated[
    list[str] | None, typer.Argument(metavar="[ID]...", help="Ids of runs.", show_default=False)
]
Statuses = Annotated[
    list[str] | None, typer.Option("--status", help="Only runs with this status. Repeatable.")
]
Format = Annotated[
    Literal["svg", "mermaid", "json"], typer.Option("--format", help="The format of the graph.")
]
Output = Annotated[
    Path | None,
    typer.Option("--file", "-f", metavar="FILE", help="Write to this file, not to the screen."),
]

RUNS = "/v1/runs"

_RUN = (
    "id",
    "playbook",
    "status",
    "severity",
    "created_at",
    "error",
)
_RUN_WIDE = ("version", "mode", "incident_id", "alert_id", "ended_at")
_STEP = (
    "id",
    "state",
    "waiting_for",
    "connection",
    "action",
    "started_at",
    "ended_at",
    "error",
)


@api_command(app, "list")
def list_runs(
    api: Api,
    status: Statuses = None,
    since: Since = None,
    until: Until = None,
    playbook: Playbook = None,
    source: Source = None,
    alert_class: AlertClass = None,
    severity: Severity = None,
    incident: Incident = None,
    person: Person = None,
    target: Target = None,
    observable: Observable = None,
    oldest: Oldest = False,
    limit: Limit = 50,
) -> Answer:
    """List runs, newest first."""
    query = {
        **period(since, until),
        "status": status,
        "playbook": playbook,
        "source": source,
        "class": alert_class,
        "severity": severity,
        "incident_id": incident,
        "person": person,
        "target": target,
        "observable": observable,
        "sort": sort(oldest=oldest),
    }
    return table(api.items("/v1/runs", limit, **query), *_RUN, wide=_RUN_WIDE)


@api_command(app, "show")
def show_run(api: Api, run_id: RunId) -> Answer:
    """Show a run with its steps; of a dry run also what it would have done."""
    run = api.get(f"/v1/runs/{find_id(api, RUNS, run_id)}")
    return Answer(run, lambda: _print_run(run))


@api_command(app, "graph")
def draw_run(api: Api, run_id: RunId, format_: Format = "svg", output: Output = None) -> Answer:
    """Draw a run: its steps and what became of each."""
    path = f"/v1/runs/{find_id(api, RUNS, run_id)}/graph"
    return graph_answer(api.text(path, format=format_), output)


api_command(app, "watch")(watch_run)


@api_command(app, "start")
def start_run(
    api: Api,
    playbook: Annotated[str, typer.Argument(help="The playbook's name.")],
    version: Annotated[
        int | None, typer.Option(help="The version; without it, the newest.")
    ] = None,
    alert: Annotated[str | None, typer.Option(help="The id of the alert to run on.")] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", help="An input: name=TEXT, or name:=JSON. Repeatable."),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Plan and evaluate only; `tocsin run show` prints what it would do.",
        ),
    ] = False,
) -> Answer:
    """Start a run by hand."""
    body: dict[str, Any] = {
        "playbook": playbook,
        "version": version,
        "alert_id": find_id(api, "/v1/alerts", alert) if alert else None,
        "inputs": parse_inputs(inputs),
        "mode": "dry_run" if dry_run else None,
    }
    given = {name: value for name, value in body.items() if value is not None}
    run = api.post("/v1/runs", given)
    return Answer(run, f"run {run['id']} started")


@api_command(app, "cancel")
def cancel_run(api: Api, run_id: RunId) -> Answer:
    """End a run and roll back what it changed."""
    found = find_id(api, RUNS, run_id)
    return Answer(api.post(f"/v1/runs/{found}/cancel"), f"run {found}: cancellation requested")


@api_command(app, "retry")
def retry_runs(
    api: Api,
    run_ids: RunIds = None,
    status: Statuses = None,
    since: Since = None,
    until: Until = None,
    ended_since: EndedSince = None,
    ended_until: EndedUntil = None,
    playbook: Playbook = None,
    source: Source = None,
    severity: Severity = None,
    incident: Incident = None,
    person: Person = None,
    target: Target = None,
    error: ErrorText = None,
    yes: Yes = False,
) -> Answer:
    """Continue ended runs from the step that failed: one, several, or all that options choose.

    More than one are shown first, and retried once you agree.
    """
    conditions = {
        **period(since, until),
        **ended(ended_since, ended_until),
        "status": status,
        "playbook": playbook,
        "source": source,
        "severity": severity,
        "incident_id": incident,
        "person": person,
        "target": target,
        "error": error,
    }
    body = choice(api, run_ids or [], _find_run, conditions)
    if len(ids := body.get("ids", ())) == 1:
        return Answer(api.post(f"/v1/runs/{ids[0]}/retry"), f"run {ids[0]}: retry requested")
    return change_all(
        api, "/v1/runs/retry", body, _print_retries, verb="retry", noun="runs", yes=yes
    )


@api_command(app, "record")
def record_run(
    api: Api,
    run_id: Annotated[str, typer.Argument(metavar="ID", help="The id of a run that has ended.")],
    into: Annotated[
        Path | None,
        typer.Option("--into", metavar="FOLDER", help="Append the case to FOLDER/tests.yaml."),
    ] = None,
) -> Answer:
    """Turn a run into a test case: alert, stubs, decisions and expectations.

    Secrets and personal data are masked. The case is tested at once; exit code 1 means that it does
    not come out as the run did.
    """
    run_id = find_id(api, RUNS, run_id)
    recorded = api.get(f"/v1/runs/{run_id}/case")
    if into is not None:
        _append_case(recorded, into / "tests.yaml")
    for each in (*recorded["notes"], *recorded["differences"]):
        print_error(each)
    code = ExitCode.DONE if recorded["passes"] else ExitCode.NEGATIVE
    if into is not None:
        return Answer(recorded, f"{into / 'tests.yaml'}: case of run {run_id} added", code)
    return Answer(recorded, recorded["tests"], code, raw=True)


def graph_answer(text: str, output: Path | None) -> Answer:
    """Return the answer that shows a graph, or writes it to a file. Raise Invalid."""
    if output is None:
        return Answer({"graph": text}, text, raw=True)
    write_text(output, text)
    return Answer({"file": str(output)}, f"{output} written")


def _find_run(api: Api, name: str) -> str:
    return find_id(api, RUNS, name)


def _print_retries(items: list[dict[str, Any]]) -> None:
    shown = [{**(item["run"] or {}), "id": item["id"], "result": item["result"]} for item in items]
    print_table(shown, (*_RUN[:1], "result", *_RUN[1:]))


def _print_run(run: dict[str, Any]) -> None:
    print_line(format_heading(run))
    shown = [
        {**step, "waiting_for": format_waiting(step.get("waiting_for"))} for step in run["steps"]
    ]
    print_table(shown, _STEP, optional=("ended_at", "connection"))
    if run["dry_run_changes"]:
        print_line("\nWould have done:")
        for each in run["dry_run_changes"]:
            print_line(f"  {format_foreseen_change(each)}")


def _append_case(recorded: dict[str, Any], path: Path) -> None:
    """Append the case to those of the same playbook. Raise Invalid."""
    from orchestrator.authoring.rehearsal.tests_yaml.edit import append_case
    from orchestrator.domain.errors import Invalid
    from orchestrator.playbook.language.yaml import load

    text = recorded["tests"]
    if path.exists():
        before = read_text(path)
        text = append_case(before, str(path), recorded["case"], recorded["notes"])
        if (named := load(before).data.get("playbook")) != recorded["playbook"]:
            raise Invalid(
                f"{path}: holds the tests of {named}, but run {recorded['run_id']} is one of "
                f"{recorded['playbook']}; name the folder of that playbook"
            )
    write_text(path, text)
