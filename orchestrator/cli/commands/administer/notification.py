"""`tocsin notification`: messages to people about approvals and tasks."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from orchestrator.cli.command import Answer, Api, api_command, noun, table
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
    limit: Limit = 50,
) -> Answer:
    """List notifications, newest first."""
    return table(
        api.items("/v1/notifications", limit, state=state, about=about),
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
