"""`tocsin run`, `tocsin approval` and `tocsin containments`: what runs, who has to answer, what is in force?"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from orchestrator.cli.graphs import As, Output, Picture, write
from orchestrator.cli.options import AsJson, Config, DataDir, pair
from orchestrator.cli.remote import Url, remote
from orchestrator.cli.show import listing, say, show_json
from orchestrator.domain.errors import Conflict

app = typer.Typer(help="Runs of playbooks, through the API of a running stack.", no_args_is_help=True)
approvals = typer.Typer(help="Questions to people, through the API of a running stack.", no_args_is_help=True)
containments = typer.Typer(help="What is in force, through the API of a running stack.", no_args_is_help=True)

Limit = Annotated[int, typer.Option(min=1, help="How many at most, newest first.")]
RunId = Annotated[str, typer.Argument(help="The run's id.")]
ApprovalId = Annotated[str, typer.Argument(help="The approval's id.")]

_RUN = ("id", "playbook", "version", "status", "severity", "incident_id", "created_at", "ended_at", "error")
_STEP = ("id", "state", "connection", "action", "started_at", "ended_at", "error")
_APPROVAL = ("id", "state", "question", "by_group", "quorum", "expires_at", "run_id")
_CONTAINMENT = ("key", "state", "connection", "action", "target", "since", "lifted_at")


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
    found = remote(data_dir, config, url).items("/v1/runs", limit, status=status, incident_id=incident)
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
    say(f"{run['id']}: {run['playbook']} version {run['version']}, {run['status']}{': ' + run['error'] if run.get('error') else ''}")
    listing(run["steps"], _STEP)


@app.command("start")
def start(
    playbook: Annotated[str, typer.Argument(help="Its name.")],
    version: Annotated[int | None, typer.Option(help="Which; else the newest.")] = None,
    alert: Annotated[str | None, typer.Option(help="The id of the alert to run it on.")] = None,
    given: Annotated[list[str] | None, typer.Option("--input", help="An input: name=value.")] = None,
    url: Url = None,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Start a run by hand."""
    inputs = dict(pair(text, "--input") for text in given or [])
    body: dict[str, Any] = {"playbook": playbook, "version": version, "alert_id": alert, "inputs": inputs}
    run = remote(data_dir, config, url).post("/v1/runs", {name: value for name, value in body.items() if value is not None})
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


@approvals.command("list")
def show_approvals(
    state: Annotated[str | None, typer.Option(help="pending, approved, declined, expired or withdrawn.")] = "pending",
    limit: Limit = 50,
    as_json: AsJson = False,
    url: Url = None,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Questions to people, newest first."""
    listing(remote(data_dir, config, url).items("/v1/approvals", limit, state=state), _APPROVAL, as_json=as_json)


@approvals.command("show")
def show_approval(approval_id: ApprovalId, url: Url = None, data_dir: DataDir = None, config: Config = None) -> None:
    """One question with the exact changes it is about."""
    show_json(remote(data_dir, config, url).get(f"/v1/approvals/{approval_id}"))


@approvals.command("decide")
def decide(
    approval_id: ApprovalId,
    decision: Annotated[str, typer.Argument(help="approve or decline.")],
    digest: Annotated[str, typer.Option(help="Of what was shown: nothing else is agreed to.")],
    comment: Annotated[str, typer.Option(help="Why; kept in the audit trail.")] = "",
    url: Url = None,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Answer a question."""
    if decision not in {"approve", "decline"}:
        message = f"{decision}: answer approve or decline"
        raise Conflict(message)
    body = {"decision": decision, "digest": digest, "comment": comment}
    remote(data_dir, config, url).post(f"/v1/approvals/{approval_id}/decision", body)
    say(f"approval {approval_id}: {decision}d")


@containments.command("list")
def show_containments(
    state: Annotated[str | None, typer.Option(help="held, lifting, lifted or stuck.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
    url: Url = None,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """What is contained, and what was."""
    found = remote(data_dir, config, url).items("/v1/containments", limit, state=state)
    listing(found if as_json else map(_readable, found), _CONTAINMENT, as_json=as_json)


@containments.command("release")
def release(
    key: Annotated[str, typer.Argument(help="The containment's key.")], url: Url = None, data_dir: DataDir = None, config: Config = None
) -> None:
    """End all leases on a containment, and lift it."""
    remote(data_dir, config, url).post(f"/v1/containments/{key}/release")
    say(f"containment {key} is being released")


def _readable(item: dict[str, Any]) -> dict[str, Any]:
    return {**item, "target": f"{item['target']['type']} {item['target']['value']}"}
