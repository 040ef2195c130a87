"""`tocsin kill-switch`: stop changes at once."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import quote

import typer

from orchestrator.cli.command import Answer, Api, api_command, noun, table
from orchestrator.cli.output import print_error

app = noun("Kill switches: stop changes at once.")

Scope = Annotated[
    Literal["global", "connection", "playbook", "source"], typer.Argument(help="What is stopped.")
]
Name = Annotated[str, typer.Argument(help="The connection (or its connector), playbook or source.")]


@api_command(app, "engage")
def engage(
    api: Api,
    scope: Scope,
    name: Name = "*",
    reason: Annotated[
        str, typer.Option(help="Shown with every change that is refused.")
    ] = "engaged by hand",
    stop_releases: Annotated[
        bool, typer.Option("--stop-releases", help="Also lift nothing while the switch is on.")
    ] = False,
) -> Answer:
    """Stop changes from now on.

    Containments stay in force, and are still lifted when their leases end.
    """
    body = {"scope": scope, "name": name, "reason": reason, "stop_releases": stop_releases}
    view = api.post("/v1/kill-switches", body)
    if view.get("warning"):
        print_error(f"warning: {view['warning']}")
    releases = "; releases are stopped too" if stop_releases else ""
    return Answer(view, f"kill switch {scope} {name}: on{releases}")


@api_command(app, "lift")
def lift(api: Api, scope: Scope, name: Name = "*") -> Answer:
    """Allow changes again."""
    api.delete(f"/v1/kill-switches/{scope}/{quote(name, safe='')}")
    return Answer({"scope": scope, "name": name}, f"kill switch {scope} {name}: off")


@api_command(app, "list")
def list_switches(api: Api) -> Answer:
    """List the kill switches that are on."""
    return table(
        api.items("/v1/kill-switches"),
        "scope",
        "name",
        "reason",
        "stop_releases",
        "engaged_by",
        "created_at",
    )
