"""`tocsin shadow`: run a version dry next to the live one, and compare."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from orchestrator.cli.command import Answer, Api, api_command, noun
from orchestrator.cli.options import (
    Version,
    parse_optional_version,
    parse_seconds,
    parse_version,
)
from orchestrator.cli.output import print_line
from orchestrator.cli.tables import format_time

app = noun("Run a version dry next to the live one and compare.")


@api_command(app, "start")
def start(api: Api, version: Version) -> Answer:
    """Make a version a shadow: it runs dry on every alert that fits its trigger."""
    name, number = parse_version(version)
    usage = api.put(f"/v1/playbooks/{name}/{number}/stage", {"stage": "shadow"})
    return Answer(
        usage, f"{name} version {number} runs as a shadow; see `tocsin shadow report {name}`"
    )


@api_command(app, "stop")
def stop(api: Api, version: Version) -> Answer:
    """End a shadow: the version is retired."""
    name, number = parse_version(version)
    api.delete(f"/v1/shadows/{name}/{number}")
    return Answer(
        {"name": name, "version": number},
        f"{name} version {number} stopped as a shadow and retired",
    )


@api_command(app, "go-live")
def go_live(api: Api, version: Version) -> Answer:
    """Make a shadow the live version: it takes the next alert."""
    name, number = parse_version(version)
    usage = api.put(f"/v1/playbooks/{name}/{number}/stage", {"stage": "live"})
    return Answer(usage, f"{name} version {number} is live")


@api_command(app, "report")
def report(
    api: Api,
    playbook: Annotated[
        str,
        typer.Argument(
            metavar="NAME[@VERSION]", help="The playbook; without a version, its newest shadow."
        ),
    ],
    since: Annotated[
        str, typer.Option(metavar="DURATION", help="How far back, such as 24h.")
    ] = "7d",
) -> Answer:
    """Report where a shadow differs from what was done, the most dangerous difference first."""
    name, version = parse_optional_version(playbook)
    parse_seconds(since, "--since")
    found = api.get(f"/v1/shadows/{name}", since=since, version=version)
    return Answer(found, lambda: _print(found))


def _print(found: dict[str, Any]) -> None:
    until = f" until {format_time(found['until'])}" if found["until"] else ""
    since = format_time(found["since"])
    print_line(f"{found['playbook']} version {found['version']}: shadow since {since}{until}")
    print_line(
        f"{found['alerts']} alerts; runs of the live version: {found['started_live']}, "
        f"of the shadow: {found['started_shadow']}; alerts without difference: {found['same']}"
    )
    if found["open"]:
        print_line(f"{found['open']} more alerts have open runs")
    if found["more"]:
        print_line("there were more runs; only the newest were compared")
    for group in found["groups"]:
        print_line(f"\n{group['difference']}: {group['count']}")
        for each in group["examples"]:
            about = each["about"]
            at = format_time(about["created_at"])
            print_line(f"  {at}  {about['title']} ({about['alert_id']})")
            for what in each["what"]:
                print_line(f"    {what}")
