"""`tocsin containment`: what is in force on devices, for whom, why, until when, and its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import typer

from orchestrator.cli.command import Answer, Api, api_command, noun
from orchestrator.cli.commands.respond.release_all import release_all
from orchestrator.cli.filters import (
    Connection,
    Incident,
    Oldest,
    Person,
    Playbook,
    Since,
    Source,
    Target,
    Until,
    period,
    sort,
)
from orchestrator.cli.options import Limit, parse_seconds
from orchestrator.cli.output import escape_controls, print_json, print_line
from orchestrator.cli.tables import format_time
from orchestrator.domain.errors import Conflict, Invalid, NotFound

app = noun("Containments: what is in force on devices, and until when.")

Name = Annotated[
    str,
    typer.Argument(
        metavar="KEY|LEASE", help="A containment's key or its first characters, or a lease's id."
    ),
]
OptionalName = Annotated[
    str | None,
    typer.Argument(
        metavar="[KEY|LEASE]",
        help="A containment's key or its first characters, or a lease's id.",
        show_default=False,
    ),
]
Key = Annotated[
    str, typer.Argument(metavar="KEY", help="A containment's key or its first characters.")
]
Duration = Annotated[str, typer.Argument(metavar="DURATION", help="From now: 30m, 4h, 7d.")]
Reason = Annotated[str, typer.Option(help="Why; recorded in the audit trail.")]
State = Literal["in_force", "held", "lifting", "lifted", "stuck", "all"]

WIDTH = 120  # columns
_MAX_SEARCHED = 10_000
_KEY_LENGTH = 32
_COLUMNS = (
    ("id", 8),
    ("state", None),
    ("what", None),
    ("on", None),
    ("by", None),
    ("why", None),
    ("since", None),
    ("until", None),
    ("verified", None),
)
"""Each column with its fixed width; None: as wide as needed, up to `_MAX_WIDTH`."""
_TIME_WIDTH = 16  # with the year, where it is not this one
_MAX_WIDTH = {
    "state": 7,
    "what": 22,
    "on": 14,
    "by": 14,
    "why": 15,
    **dict.fromkeys(("since", "until", "verified"), _TIME_WIDTH),
}


@api_command(app, "list")
def list_containments(
    api: Api,
    state: Annotated[
        State, typer.Option(help="Only containments in this state; in_force: all but lifted.")
    ] = "in_force",
    target: Target = None,
    covering: Annotated[
        str | None,
        typer.Option(
            metavar="VALUE", help="Only what contains this: itself, or a network around it."
        ),
    ] = None,
    connection: Connection = None,
    playbook: Playbook = None,
    source: Source = None,
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
        "incident_id": incident,
        "person": person,
        "sort": sort(oldest=oldest),
    }
    found = api.items("/v1/containments", limit, **query)
    return Answer(found, lambda: print_containments(found))


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
    name: OptionalName = None,
    reason: Reason = "",
    everything: Annotated[
        bool,
        typer.Option("--all", help="Every containment; list what stays on devices."),
    ] = False,
    within: Annotated[
        str, typer.Option(metavar="DURATION", help="With --all: how long to wait.")
    ] = "10m",
) -> Answer:
    """End all leases on a containment, or one of them, and lift it after the last."""
    if everything is (name is not None):
        raise Invalid("name a containment or a lease, or give --all")
    if name is None:
        return release_all(api, reason, parse_seconds(within, "--within"))
    key, lease = _find(api, name)
    containment = api.post(f"/v1/containments/{key}/release", {"lease": lease, "reason": reason})
    subject = f"lease {lease}" if lease else f"containment {key}"
    return Answer(containment, f"{subject}: release requested")


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


def print_containments(items: Sequence[dict[str, Any]]) -> None:
    """Print one row each. Text from outside is printed as it is, never as markup."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not items:
        print_line("none")
        return
    table = Table(
        box=None, pad_edge=False, padding=(0, 1, 0, 0), collapse_padding=True, header_style="bold"
    )
    for name, width in _COLUMNS:
        table.add_column(name, overflow="fold", width=width, max_width=width or _MAX_WIDTH[name])
    for item in items:
        table.add_row(*(Text(escape_controls(text)) for text in _row(item)))
    Console(highlight=False, width=WIDTH).print(table)


def _change(api: Api, name: str, body: dict[str, Any]) -> Answer:
    parse_seconds(body["for"], "DURATION")
    key, lease = _find(api, name)
    containment = api.patch(f"/v1/containments/{key}", {**body, "lease": lease})
    end = containment["expires_at"]
    until = format_time(end, wide=True) if end else "released by hand"
    return Answer(containment, f"containment {key}: in force until {until}")


def _find(api: Api, name: str) -> tuple[str, str | None]:
    """Return the key, and the lease if one is named. Raise NotFound, or Conflict if ambiguous."""
    if "/" in name:
        for item in api.items("/v1/containments", 1, lease=name, state="all"):
            return item["id"], name
        raise NotFound(f"no lease {name}; `tocsin containment list --json` shows leases")
    if len(name) >= _KEY_LENGTH:
        return name, None
    items = api.items("/v1/containments", _MAX_SEARCHED)
    keys = [item["id"] for item in items if item["id"].startswith(name)]
    if len(keys) > 1:
        raise Conflict(f"{len(keys)} containments begin with {name}; give more of the key")
    return (keys[0] if keys else name), None


def _row(item: dict[str, Any]) -> tuple[str, ...]:
    live = [lease for lease in item["leases"] if lease["state"] == "live"]
    shown = live or item["leases"][-1:]
    by = ", ".join(sorted({lease["playbook"] or lease["run_id"] for lease in shown}))
    alerts = [lease["alert"] for lease in shown if lease["alert"]]
    why = next(iter([*alerts, *(lease["path"] for lease in shown)]), "-")
    device = item["device"]
    return (
        item["id"][:8],
        _state(item),
        f"{item['target']['value']} {item['action']}",
        item["connection"] if device is None else f"{item['connection']} ({device})",
        by or "-",
        why,
        format_time(item["created_at"]),
        _until(item, has_leases=bool(live)),
        format_time(item["verified_at"]),
    )


def _until(item: dict[str, Any], *, has_leases: bool) -> str:
    end = item["lifted_at"] or item["expires_at"]
    if end:
        return format_time(end)
    return "by hand" if has_leases else "now"


def _state(item: dict[str, Any]) -> str:
    """Return the state; `held, foreign` was in force before Tocsin, and stays."""
    more = [item["drift"]] if item["drift"] else []
    more += [] if item["ours"] or item["state"] == "lifted" else ["foreign"]
    more += [f"{item['failures']}x"] if item["failures"] else []
    return ", ".join([item["state"], *more])
