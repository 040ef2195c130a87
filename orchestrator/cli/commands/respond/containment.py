"""`tocsin containment`: what is in force on devices, for whom, why, until when, and its end."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from orchestrator.cli.command import Answer, Api, Table, api_command, noun
from orchestrator.cli.commands.respond.containment_rows import (
    COLUMNS,
    OPTIONAL,
    containment_rows,
)
from orchestrator.cli.commands.respond.release_all import release_all
from orchestrator.cli.filters import (
    AlertClass,
    Connection,
    Covering,
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
from orchestrator.cli.options import Limit, Yes, parse_seconds
from orchestrator.cli.output import print_json
from orchestrator.cli.selections import change_all, choice
from orchestrator.cli.tables import format_time, print_table
from orchestrator.domain.errors import Invalid, NotFound

app = noun("Containments: what is in force on devices, and until when.")

Name = Annotated[
    str,
    typer.Argument(
        metavar="KEY|LEASE", help="A containment's key or its first characters, or a lease's id."
    ),
]
Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY|LEASE]...",
        help="Keys of containments or their first characters, or the id of one lease.",
        show_default=False,
    ),
]
Key = Annotated[
    str, typer.Argument(metavar="KEY", help="A containment's key or its first characters.")
]
Duration = Annotated[str, typer.Argument(metavar="DURATION", help="From now: 30m, 4h, 7d.")]
Reason = Annotated[str, typer.Option(help="Why; recorded in the audit trail.")]
State = Literal["in_force", "held", "lifting", "lifted", "stuck", "all"]


@api_command(app, "list")
def list_containments(
    api: Api,
    state: Annotated[
        State, typer.Option(help="Only containments in this state; in_force: all but lifted.")
    ] = "in_force",
    target: Target = None,
    covering: Covering = None,
    connection: Connection = None,
    playbook: Playbook = None,
    source: Source = None,
    alert_class: AlertClass = None,
    severity: Severity = None,
    observable: Observable = None,
    incident: Incident = None,
    person: Person = None,
    since: Since = None,
    until: Until = None,
    oldest: Oldest = False,
    limit: Limit = 50,
) -> Answer:
    """List containments, newest first, with playbook, alert, device and times."""
    query = {
        **period(since, until),
        "state": state,
        "target": target,
        "covering": covering,
        "connection": connection,
        "playbook": playbook,
        "source": source,
        "class": alert_class,
        "severity": severity,
        "observable": observable,
        "incident_id": incident,
        "person": person,
        "sort": sort(oldest=oldest),
    }
    found = api.items("/v1/containments", limit, **query)
    return Answer(found, Table(containment_rows(found), COLUMNS, optional=OPTIONAL))


@api_command(app, "show")
def show_containment(api: Api, key: Key) -> Answer:
    """Show a containment with its leases."""
    containment = api.get(f"/v1/containments/{_find(api, key)[0]}")
    return Answer(containment, lambda: print_json(containment))


@api_command(app, "extend")
def extend(api: Api, name: Name, by: Duration, reason: Reason = "") -> Answer:
    """Let leases end this long from now; leases that end later are unchanged."""
    return _change(api, name, {"for": by, "way": "extend", "reason": reason})


@api_command(app, "shorten")
def shorten(api: Api, name: Name, to: Duration, reason: Reason = "") -> Answer:
    """Let leases end this long from now; leases that end earlier are unchanged."""
    return _change(api, name, {"for": to, "way": "shorten", "reason": reason})


@api_command(app, "release")
def release(
    api: Api,
    names: Names = None,
    state: Annotated[State | None, typer.Option(help="Only containments in this state.")] = None,
    target: Target = None,
    covering: Covering = None,
    connection: Connection = None,
    playbook: Playbook = None,
    source: Source = None,
    alert_class: AlertClass = None,
    severity: Severity = None,
    observable: Observable = None,
    incident: Incident = None,
    run: Annotated[str | None, typer.Option(metavar="ID", help="Only of this run.")] = None,
    since: Since = None,
    until: Until = None,
    reason: Reason = "",
    yes: Yes = False,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Every containment; list what stays on devices."),
    ] = False,
    within: Annotated[
        str, typer.Option(metavar="DURATION", help="With --all: how long to wait.")
    ] = "10m",
) -> Answer:
    """End the leases on containments, and lift them: one, several, or all that options choose.

    More than one are shown first, and released once you agree. --playbook, --source, --class,
    --severity, --observable, --incident and --run end only the leases of such runs; what others
    hold stays in force.
    """
    conditions = {
        **period(since, until),
        "state": [state] if state else None,
        "target": target,
        "covering": covering,
        "connection": connection,
        "playbook": playbook,
        "source": source,
        "class": alert_class,
        "severity": severity,
        "observable": observable,
        "incident_id": incident,
        "run_id": find_id(api, "/v1/runs", run) if run else None,
    }
    if everything:
        if names or any(conditions.values()):
            raise Invalid("name containments or options that choose them, or give --all")
        return release_all(api, reason, parse_seconds(within, "--within"))
    if names and len(names) == 1 and not any(conditions.values()):
        return _release_one(api, names[0], reason)
    body = {**choice(api, names or [], _find_key, conditions), "reason": reason}
    return change_all(
        api,
        "/v1/containments/release",
        body,
        _print_releases,
        verb="release",
        noun="containments",
        yes=yes,
    )


@api_command(app, "resolve")
def resolve(
    api: Api,
    key: Key,
    comment: Annotated[
        str, typer.Option(help="How it was lifted by hand; recorded in the audit trail.")
    ],
    force: Annotated[
        bool,
        typer.Option("--force", help="Even if the device still shows it, or cannot be read."),
    ] = False,
) -> Answer:
    """Record that a stuck containment was lifted by hand. The device is read first."""
    found = _find(api, key)[0]
    body = {"comment": comment, "force": force}
    containment = api.post(f"/v1/containments/{found}/resolve", body, seconds=120)
    return Answer(containment, f"containment {found} resolved")


def _change(api: Api, name: str, body: dict[str, Any]) -> Answer:
    parse_seconds(body["for"], "DURATION")
    key, lease = _find(api, name)
    containment = api.patch(f"/v1/containments/{key}", {**body, "lease": lease})
    end = containment["expires_at"]
    until = format_time(end, wide=True) if end else "released by hand"
    return Answer(containment, f"containment {key}: in force until {until}")


def _release_one(api: Api, name: str, reason: str) -> Answer:
    key, lease = _find(api, name)
    containment = api.post(f"/v1/containments/{key}/release", {"lease": lease, "reason": reason})
    subject = f"lease {lease}" if lease else f"containment {key}"
    return Answer(containment, f"{subject}: release requested")


def _find_key(api: Api, name: str) -> str:
    """Return a containment's key. Raise Invalid for a lease, which is released alone."""
    key, lease = _find(api, name)
    if lease is not None:
        raise Invalid(f"{name} is a lease; release it in a command of its own")
    return key


def _print_releases(items: list[dict[str, Any]]) -> None:
    found = [item["containment"] for item in items if item["containment"]]
    print_table(containment_rows(found), COLUMNS, optional=OPTIONAL)


def _find(api: Api, name: str) -> tuple[str, str | None]:
    """Return the key, and the lease if one is named. Raise NotFound, or Conflict if ambiguous."""
    if "/" in name:
        for item in api.items("/v1/containments", 1, lease=name, state="all"):
            return item["id"], name
        raise NotFound(f"no lease {name}; `tocsin containment list --json` shows leases")
    return find_id(api, "/v1/containments", name, states=("in_force", "lifted")), None
