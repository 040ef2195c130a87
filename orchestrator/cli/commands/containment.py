"""`tocsin containments`: what is in force, by whom, why, until when, on what device; and how is it given another end?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.cli.api_client import Remote, Url, remote
from orchestrator.cli.options import AsJson, Config, DataDir, length
from orchestrator.cli.output import listing, say, show_json, visible
from orchestrator.domain.errors import Conflict, NotFound

app = typer.Typer(
    help="What is in force, through the API of a running stack. Without a command: a list of it.",
    invoke_without_command=True,
)

Name = Annotated[
    str,
    typer.Argument(
        metavar="KEY|LEASE",
        help="The containment's key, or the beginning of it; or the id of one lease.",
    ),
]
Key = Annotated[
    str, typer.Argument(metavar="KEY", help="The containment's key, or the beginning of it.")
]
Length = Annotated[str, typer.Argument(metavar="DURATION", help="From now: 30m, 4h, 7d.")]
Reason = Annotated[str, typer.Option(help="Why; kept in the audit trail.")]
All = Annotated[bool, typer.Option("--all", help="Also what is lifted.")]
Limit = Annotated[int, typer.Option(min=1, help="How many at most, newest first.")]
MOST = 10_000


@app.callback()
def in_force(
    context: typer.Context,
    everything: All = False,
    limit: Limit = 50,
    as_json: AsJson = False,
    url: Url = None,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """What is in force, through the API of a running stack. Without a command: a list of it."""
    if context.invoked_subcommand is None:
        show_list(
            everything=everything,
            limit=limit,
            as_json=as_json,
            url=url,
            data_dir=data_dir,
            config=config,
        )


@app.command("list")
def show_list(
    state: Annotated[
        str | None, typer.Option(help="held, lifting, lifted or stuck; else all that is in force.")
    ] = None,
    everything: All = False,
    limit: Limit = 50,
    as_json: AsJson = False,
    url: Url = None,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """What is in force now, newest first: by whom, why, since when, until when (UTC), on what device, when that last showed it."""
    chosen = state or ("all" if everything else "in_force")
    found = list(remote(data_dir, config, url).items("/v1/containments", limit, state=chosen))
    if as_json:
        show_json(found)
    else:
        print_containments(found)


@app.command("show")
def show(key: Key, url: Url = None, data_dir: DataDir = None, config: Config = None) -> None:
    """One containment with its leases, as JSON."""
    api = remote(data_dir, config, url)
    show_json(api.get(f"/v1/containments/{_found(api, key)[0]}"))


@app.command("extend")
def extend(
    name: Name,
    by: Length,
    reason: Reason = "",
    url: Url = None,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Let it be held for so long from now. Leases that end later stay as they are."""
    _change(remote(data_dir, config, url), name, {"for": by, "way": "extend", "reason": reason})


@app.command("shorten")
def shorten(
    name: Name,
    to: Length,
    reason: Reason = "",
    url: Url = None,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Let it be held for no longer than so long from now."""
    _change(remote(data_dir, config, url), name, {"for": to, "way": "shorten", "reason": reason})


@app.command("release")
def release(
    name: Annotated[
        str | None,
        typer.Argument(metavar="KEY|LEASE", help="The containment's key, or the id of one lease."),
    ] = None,
    incident: Annotated[
        str | None, typer.Option(help="All that the runs of this incident hold.")
    ] = None,
    reason: Reason = "",
    url: Url = None,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """End all leases on a containment (or one) now, and lift it; or all that an incident contained."""
    if (name is None) == (incident is None):
        message = "give the key of a containment (or the id of a lease), or --incident ID"
        raise Conflict(message)
    api = remote(data_dir, config, url)
    if incident is not None:
        found = api.post(f"/v1/incidents/{incident}/release", {"reason": reason})["items"]
        say(f"{len(found)} containments of incident {incident} are being released")
        return
    key, lease = _found(api, name or "")
    api.post(f"/v1/containments/{key}/release", {"lease": lease, "reason": reason})
    say(f"lease {lease} is being released" if lease else f"containment {key} is being released")


@app.command("settle")
def settle(
    key: Key,
    comment: Annotated[str, typer.Option(help="How it came off; kept in the audit trail.")],
    force: Annotated[
        bool,
        typer.Option("--force", help="Also when the device still shows it, or cannot be asked."),
    ] = False,
    url: Url = None,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Say that what could not be lifted is off. The device is read first."""
    api = remote(data_dir, config, url)
    found = _found(api, key)[0]
    api.post(f"/v1/containments/{found}/settle", {"comment": comment, "force": force})
    say(f"containment {found} is settled")


@app.command("orphans")
def orphans(
    connection: Annotated[str | None, typer.Option(help="Only this one.")] = None,
    as_json: AsJson = False,
    url: Url = None,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """What carries our tag on a device and is not known to be in force, and which devices cannot say so."""
    found = remote(data_dir, config, url).get("/v1/orphans", connection=connection)["items"]
    if as_json:
        show_json(found)
        return
    for each in found:
        if each["why"]:
            say(
                f"{each['connection']}: {'' if each['listed'] else 'cannot be listed: '}{each['why']}"
            )
    lost = [
        {"connection": each["connection"], **orphan} for each in found for orphan in each["orphans"]
    ]
    listing(lost, ("connection", "action", "target", "tag", "note"))


def _change(api: Remote, name: str, body: dict[str, Any]) -> None:
    length(body["for"], "DURATION")
    key, lease = _found(api, name)
    until = api.patch(f"/v1/containments/{key}", {**body, "lease": lease})["until"]
    say(f"containment {key} is held until {until or 'it is released by hand'}")


def _found(api: Remote, name: str) -> tuple[str, str | None]:
    """The key, and the lease if the name is one's. Raises NotFound, Conflict (more than one begins so)."""
    if "/" in name:
        for item in api.items("/v1/containments", 1, lease=name, state="all"):
            return item["key"], name
        message = f"there is no lease {name}; `tocsin containments` lists them"
        raise NotFound(message)
    if len(name) >= _WHOLE:
        return name, None
    keys = [
        item["key"] for item in api.items("/v1/containments", MOST) if item["key"].startswith(name)
    ]
    if len(keys) > 1:
        message = f"{len(keys)} containments begin with {name}; give more of the key"
        raise Conflict(message)
    return (keys[0] if keys else name), None


_WHOLE = 32


WIDTH = 120
_COLUMNS = (
    ("key", 8),
    ("state", 7),
    ("what", 22),
    ("on", 14),
    ("by", 14),
    ("why", 15),
    ("since", 11),
    ("until", 11),
    ("seen", 11),
)


def print_containments(items: Sequence[dict[str, Any]]) -> None:
    """One row each. Text from outside is printed as it is, never as markup."""
    if not items:
        say("none")
        return
    table = Table(
        box=None, pad_edge=False, padding=(0, 1, 0, 0), collapse_padding=True, header_style="bold"
    )
    for name, width in _COLUMNS:
        table.add_column(
            name, overflow="fold", width=width if name not in _OPEN else None, max_width=width
        )
    for item in items:
        table.add_row(*(Text(visible(text)) for text in _row(item)))
    Console(highlight=False, width=WIDTH).print(table)


_OPEN = {"state", "what", "on", "by", "why"}


def _row(item: dict[str, Any]) -> tuple[str, ...]:
    live = [lease for lease in item["leases"] if lease["state"] == "live"]
    held = live or item["leases"][-1:]
    by = ", ".join(sorted({lease["playbook"] or lease["run_id"] for lease in held}))
    why = next((lease["alert"] for lease in held if lease["alert"]), None) or next(
        (lease["path"] for lease in held), "-"
    )
    on = (
        item["connection"] if item["device"] is None else f"{item['connection']} ({item['device']})"
    )
    until = (
        _moment(item["lifted_at"] or item["until"])
        if item["lifted_at"] or item["until"]
        else ("by hand" if live else "now")
    )
    what = f"{item['target']['value']} {item['action']}"
    return (
        item["key"][:8],
        _state(item),
        what,
        on,
        by or "-",
        why,
        _moment(item["since"]),
        until,
        _moment(item["verified_at"]),
    )


def _state(item: dict[str, Any]) -> str:
    """`held, theirs`: it was so before us, and stays."""
    more = [item["drift"]] if item["drift"] else []
    more += [] if item["ours"] or item["state"] == "lifted" else ["theirs"]
    more += [f"{item['failures']}x"] if item["failures"] else []
    return ", ".join([item["state"], *more])


def _moment(text: str | None) -> str:
    """Month, day and time in UTC."""
    return "-" if text is None else datetime.fromisoformat(text).strftime("%m-%d %H:%M")
