"""`tocsin alert`: alerts that products reported."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.command import Answer, Api, api_command, noun, table
from orchestrator.cli.options import Limit

app = noun("Alerts that products reported.")

AlertId = Annotated[str, typer.Argument(metavar="ID", help="The alert's id.")]


@api_command(app, "list")
def list_alerts(
    api: Api,
    incident: Annotated[str | None, typer.Option(help="Only alerts of this incident.")] = None,
    source: Annotated[str | None, typer.Option(help="Only alerts of this source.")] = None,
    limit: Limit = 50,
) -> Answer:
    """List alerts, newest first."""
    found = api.items("/v1/alerts", limit, incident_id=incident, source=source)
    return table(found, "id", "created_at", "source", "severity", "class", "title", "incident_id")


@api_command(app, "show")
def show_alert(
    api: Api,
    alert_id: AlertId,
    raw: Annotated[bool, typer.Option("--raw", help="As the product sent it.")] = False,
) -> Answer:
    """Show an alert in the normal form, as playbooks see it."""
    from orchestrator.cli.output import print_json

    if raw:
        text = api.text(f"/v1/alerts/{alert_id}/raw")
        return Answer({"raw": text}, text, raw=True)
    alert = api.get(f"/v1/alerts/{alert_id}")
    return Answer(alert, lambda: print_json(alert))
