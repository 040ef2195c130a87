"""`tocsin incident`: alerts that belong together, and what was contained because of them."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from orchestrator.cli.command import Answer, Api, api_command, noun, table
from orchestrator.cli.filters import (
    AlertClass,
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

INCIDENTS = "/v1/incidents"

app = noun("Incidents: alerts that belong together.")

IncidentId = Annotated[str, typer.Argument(metavar="ID", help="The incident's id.")]


@api_command(app, "list")
def list_incidents(
    api: Api,
    status: Annotated[
        Literal["open", "closed"] | None, typer.Option(help="Only incidents with this status.")
    ] = None,
    since: Since = None,
    until: Until = None,
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
    """List incidents, newest first."""
    query = {
        **period(since, until),
        "status": status,
        "source": source,
        "class": alert_class,
        "severity": severity,
        "observable": observable,
        "playbook": playbook,
        "person": person,
        "target": target,
        "sort": sort(oldest=oldest),
    }
    found = api.items("/v1/incidents", limit, **query)
    columns = ("id", "status", "severity", "alerts", "created_at", "last_alert_at", "title")
    return table(found, *columns)


@api_command(app, "show")
def show_incident(api: Api, incident_id: IncidentId) -> Answer:
    """Show an incident."""
    from orchestrator.cli.output import print_json

    incident = api.get(f"/v1/incidents/{find_id(api, INCIDENTS, incident_id)}")
    return Answer(incident, lambda: print_json(incident))


@api_command(app, "release")
def release_incident(
    api: Api,
    incident_id: IncidentId,
    reason: Annotated[str, typer.Option(help="Why; recorded in the audit trail.")] = "",
) -> Answer:
    """Release everything that the runs of an incident contained."""
    incident_id = find_id(api, INCIDENTS, incident_id)
    released = api.post(f"/v1/incidents/{incident_id}/release", {"reason": reason})["items"]
    return Answer(
        released, f"incident {incident_id}: release of {len(released)} containments requested"
    )
