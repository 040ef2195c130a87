"""`tocsin alert`: alerts that products reported."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.command import Answer, Api, api_command, noun, table
from orchestrator.cli.filters import (
    AlertClass,
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
    period,
    sort,
)
from orchestrator.cli.ids import find_id
from orchestrator.cli.options import Limit

app = noun("Alerts that products reported.")

AlertId = Annotated[str, typer.Argument(metavar="ID", help="The alert's id.")]


@api_command(app, "list")
def list_alerts(
    api: Api,
    since: Since = None,
    until: Until = None,
    incident: Incident = None,
    source: Source = None,
    alert_class: AlertClass = None,
    severity: Severity = None,
    observable: Observable = None,
    playbook: Playbook = None,
    person: Person = None,
    target: Target = None,
    oldest: Oldest = False,
    limit: Limit = 50,
) -> Answer:
    """List alerts, newest first."""
    query = {
        **period(since, until),
        "incident_id": incident,
        "source": source,
        "class": alert_class,
        "severity": severity,
        "observable": observable,
        "playbook": playbook,
        "person": person,
        "target": target,
        "sort": sort(oldest=oldest),
    }
    found = api.items("/v1/alerts", limit, **query)
    return table(found, "id", "created_at", "source", "severity", "class", "title", "incident_id")


@api_command(app, "show")
def show_alert(
    api: Api,
    alert_id: AlertId,
    raw: Annotated[bool, typer.Option("--raw", help="As the product sent it.")] = False,
) -> Answer:
    """Show an alert in the normal form, as playbooks see it."""
    from orchestrator.cli.output import print_json

    alert_id = find_id(api, "/v1/alerts", alert_id)
    if raw:
        text = api.text(f"/v1/alerts/{alert_id}/raw")
        return Answer({"raw": text}, text, raw=True)
    alert = api.get(f"/v1/alerts/{alert_id}")
    return Answer(alert, lambda: print_json(alert))
