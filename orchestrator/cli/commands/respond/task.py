"""`tocsin task`: what needs a person."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from orchestrator.cli.command import Answer, Api, api_command, noun, table
from orchestrator.cli.filters import Oldest, Person, Since, Until, period, sort
from orchestrator.cli.ids import find_id
from orchestrator.cli.options import Limit

app = noun("Tasks: what needs a person.")

TaskId = Annotated[str, typer.Argument(metavar="ID", help="The task's id.")]

_COLUMNS = ("id", "kind", "subject", "state", "to_group", "created_at", "summary")


@api_command(app, "list")
def list_tasks(
    api: Api,
    state: Annotated[
        Literal["open", "closed", "all"], typer.Option(help="Only tasks in this state.")
    ] = "open",
    kind: Annotated[
        str | None, typer.Option(help="Only tasks of this kind, such as stuck_release.")
    ] = None,
    subject: Annotated[
        str | None, typer.Option(help="Only about this, such as a containment's key.")
    ] = None,
    person: Person = None,
    since: Since = None,
    until: Until = None,
    oldest: Oldest = False,
    limit: Limit = 50,
) -> Answer:
    """List tasks, newest first: stuck releases, drift, tripped breakers, break-glass reviews."""
    query = {
        **period(since, until),
        "state": state,
        "kind": kind,
        "subject": subject,
        "person": person,
        "sort": sort(oldest=oldest),
    }
    return table(api.items("/v1/tasks", limit, **query), *_COLUMNS)


@api_command(app, "show")
def show_task(api: Api, task_id: TaskId) -> Answer:
    """Show a task."""
    task = api.get(f"/v1/tasks/{_find(api, task_id)}")
    lines = [f"{name.replace('_', ' ')}: {value}" for name, value in task.items() if value]
    return Answer(task, "\n".join(lines))


@api_command(app, "close")
def close_task(
    api: Api,
    task_id: TaskId,
    comment: Annotated[str, typer.Option(help="What was done; recorded in the audit trail.")],
) -> Answer:
    """Close a task. Its cause is unchanged; if it is found again, a new task is opened."""
    task_id = _find(api, task_id)
    task = api.post(f"/v1/tasks/{task_id}/close", {"comment": comment})
    return Answer(task, f"task {task_id} closed")


def _find(api: Api, text: str) -> str:
    return find_id(api, "/v1/tasks", text, states=("all",))
