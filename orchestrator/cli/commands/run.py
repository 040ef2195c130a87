"""`tocsin run`: what runs, and what ran?"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from orchestrator.cli.api_client import Url, remote
from orchestrator.cli.commands.graph import As, Output, Picture, write
from orchestrator.cli.options import AsJson, Config, DataDir, pair
from orchestrator.cli.output import listing, say, show_json
from orchestrator.playbook.language.durations import spelled

app = typer.Typer(
    help="Runs of playbooks, through the API of a running stack.", no_args_is_help=True
)

Limit = Annotated[int, typer.Option(min=1, help="How many at most, newest first.")]
RunId = Annotated[str, typer.Argument(help="The run's id.")]

_RUN = (
    "id",
    "playbook",
    "version",
    "mode",
    "status",
    "severity",
    "incident_id",
    "created_at",
    "ended_at",
    "error",
)
_STEP = ("id", "state", "connection", "action", "started_at", "ended_at", "error")


@app.command("list")
def show_runs(
    status: Annotated[str | None, typer.Option(help="Only those in this status.")] = None,
    incident: Annotated[str | None, typer.Option(help="Only those of this incident.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
    url: Url = None,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Runs, newest first."""
    found = remote(data_dir, config, url).items(
        "/v1/runs", limit, status=status, incident_id=incident
    )
    listing(found, _RUN, as_json=as_json)


@app.command("show")
def show_run(
    run_id: RunId,
    as_json: AsJson = False,
    graph: Annotated[bool, typer.Option("--graph", help="A picture of what happened.")] = False,
    as_: As = Picture.SVG,
    output: Output = None,
    url: Url = None,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """One run with its steps."""
    api = remote(data_dir, config, url)
    if graph:
        write(api.text(f"/v1/runs/{run_id}/graph", format=as_.value), output)
        return
    run = api.get(f"/v1/runs/{run_id}")
    if as_json:
        show_json(run)
        return
    how = (
        f", shadow of {run['shadow_of']}"
        if run["shadow_of"]
        else ", dry run"
        if run["mode"] == "dry_run"
        else ""
    )
    why = f": {run['error']}" if run.get("error") else ""
    say(f"{run['id']}: {run['playbook']} version {run['version']}{how}, {run['status']}{why}")
    listing(run["steps"], _STEP)
    if run["would"]:
        say("\nWould have done, and has not:")
        for each in run["would"]:
            say(f"  {would_line(each)}")


def would_line(each: dict[str, Any]) -> str:
    """What a dry run says of one change, or of one form."""
    asked = each["asked"]
    people = (
        f"would ask {_people(asked)} ({_WHO_ASKS[asked['source']]}): {asked['question']}"
        if asked
        else "would ask nobody"
    )
    if each["action"] is None:
        return f"{each['path']}: {people}"
    if each["verdict"] and each["verdict"]["outcome"] == "deny":
        people = f"denied: {'; '.join(each['verdict']['reasons'])}"
    elif not each["changed"]:
        people = "it is so already"
    held = f", for {spelled(each['hold_seconds'])}" if each["hold_seconds"] else ""
    return f"{each['path']}: {each['connection']}.{each['action']} ({each['effect']}): {each['summary']}{held}; {people}"


def _people(asked: dict[str, Any]) -> str:
    whom = asked["by"] or "whoever may approve"
    return whom if asked["quorum"] == 1 else f"{asked['quorum']} of {whom}"


_WHO_ASKS = {
    "step": "by the step",
    "group": "by the group around it",
    "policy": "by the policy",
    "form": "a form",
}


@app.command("start")
def start(
    playbook: Annotated[str, typer.Argument(help="Its name.")],
    version: Annotated[int | None, typer.Option(help="Which; else the newest.")] = None,
    alert: Annotated[str | None, typer.Option(help="The id of the alert to run it on.")] = None,
    given: Annotated[
        list[str] | None, typer.Option("--input", help="An input: name=value.")
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Plan and judge, and change nothing; see what it would do with `run show`.",
        ),
    ] = False,
    url: Url = None,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Start a run by hand."""
    inputs = dict(pair(text, "--input") for text in given or [])
    body: dict[str, Any] = {
        "playbook": playbook,
        "version": version,
        "alert_id": alert,
        "inputs": inputs,
        "mode": "dry_run" if dry_run else None,
    }
    run = remote(data_dir, config, url).post(
        "/v1/runs", {name: value for name, value in body.items() if value is not None}
    )
    say(f"run {run['id']} is started")


@app.command("cancel")
def cancel(run_id: RunId, url: Url = None, data_dir: DataDir = None, config: Config = None) -> None:
    """End a run, and take back what it changed."""
    remote(data_dir, config, url).post(f"/v1/runs/{run_id}/cancel")
    say(f"run {run_id} is being cancelled")


@app.command("retry")
def retry(run_id: RunId, url: Url = None, data_dir: DataDir = None, config: Config = None) -> None:
    """Go on from the step that failed."""
    remote(data_dir, config, url).post(f"/v1/runs/{run_id}/retry")
    say(f"run {run_id} goes on")
