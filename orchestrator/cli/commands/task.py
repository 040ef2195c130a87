"""`tocsin task`: what needs a person?"""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.api_client import Url, remote
from orchestrator.cli.options import AsJson, Config, DataDir
from orchestrator.cli.output import listing, say

app = typer.Typer(
    help="What needs a person, through the API of a running stack.", no_args_is_help=True
)


@app.command("list")
def show_tasks(
    state: Annotated[str, typer.Option(help="open, closed or all.")] = "open",
    kind: Annotated[
        str | None, typer.Option(help="Only those of this kind, such as stuck_release.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most, newest first.")] = 50,
    as_json: AsJson = False,
    url: Url = None,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Releases that do not come off, drift, tripped breakers, broken glass: what is open, unless told otherwise."""
    found = remote(data_dir, config, url).items("/v1/tasks", limit, state=state, kind=kind)
    listing(
        found,
        ("id", "kind", "subject", "state", "to_group", "opened_at", "summary"),
        as_json=as_json,
    )


@app.command("close")
def close(
    task_id: Annotated[str, typer.Argument(metavar="ID", help="The task's id.")],
    comment: Annotated[str, typer.Option(help="What was done; kept in the audit trail.")],
    url: Url = None,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Close a task. What it is about stays as it is; found again, it opens another."""
    remote(data_dir, config, url).post(f"/v1/tasks/{task_id}/close", {"comment": comment})
    say(f"task {task_id} is closed")
