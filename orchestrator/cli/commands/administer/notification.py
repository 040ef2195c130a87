"""`tocsin notification`: messages to people about approvals and tasks."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from orchestrator.cli.command import Answer, Api, api_command, noun, table
from orchestrator.cli.filters import Person, Since, Until, period
from orchestrator.cli.options import Limit

app = noun("Notifications that were sent to people.")


@api_command(app, "list")
def list_notifications(
    api: Api,
    state: Annotated[
        Literal["waiting", "sent", "failed", "void"] | None,
        typer.Option(help="Only notifications in this state."),
    ] = None,
    about: Annotated[
        str | None, typer.Option(metavar="ID", help="Only about this approval or task.")
    ] = None,
    person: Person = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
) -> Answer:
    """List notifications, newest first."""
    query = {**period(since, until), "state": state, "about": about, "person": person}
    return table(
        api.items("/v1/notifications", limit, **query),
        "id",
        "person",
        "channel",
        "kind",
        "about",
        "state",
        "attempts",
        "created_at",
        "error",
    )
