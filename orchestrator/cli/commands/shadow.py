"""`tocsin shadow`: what would a new version do about the alerts that come?"""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.authoring.shadow.report import ShadowReport, shadow_report
from orchestrator.cli.api_client import Url, remote
from orchestrator.cli.commands.promotion import Version, named
from orchestrator.cli.options import AsJson, Config, DataDir, actor, length, within
from orchestrator.cli.output import say, show_json
from orchestrator.registry import versions

app = typer.Typer(
    help="Run a version dry beside the one that takes the alerts, and see where they differ.",
    no_args_is_help=True,
)


@app.command("on")
def switch_on(version: Version, data_dir: DataDir = None, config: Config = None) -> None:
    """Make a version a shadow: every alert that fits its trigger starts it too, and it changes nothing."""
    name, number = named(version)
    within(
        data_dir,
        config,
        lambda runtime: versions.set_stage(runtime, name, number, "shadow", actor=actor()),
    )
    say(f"{name} version {number} runs as a shadow; see `tocsin shadow report {name}`")


@app.command("off")
def switch_off(version: Version, data_dir: DataDir = None, config: Config = None) -> None:
    """End it: the version is retired, and takes no alert. `tocsin shadow live` makes it take them instead."""
    name, number = named(version)
    within(
        data_dir, config, lambda runtime: versions.end_shadow(runtime, name, number, actor=actor())
    )
    say(f"{name} version {number} is no shadow any more; it is retired")


@app.command("live")
def go_live(version: Version, data_dir: DataDir = None, config: Config = None) -> None:
    """Let a shadow act: as the newest live version it takes the next alert."""
    name, number = named(version)
    within(
        data_dir,
        config,
        lambda runtime: versions.set_stage(runtime, name, number, "live", actor=actor()),
    )
    say(f"{name} version {number} is live")


@app.command("report")
def report(
    playbook: Annotated[
        str,
        typer.Argument(
            metavar="NAME[@VERSION]", help="The playbook; without a version, its newest shadow."
        ),
    ],
    since: Annotated[
        str,
        typer.Option(help="How far back, such as 24h; never further than since it is a shadow."),
    ] = "7d",
    as_json: AsJson = False,
    url: Url = None,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Where the shadow would have done otherwise than was done, the most dangerous first. With --url through its API."""
    name, number = named(playbook) if "@" in playbook else (playbook, None)
    how_far = length(since, "--since")
    if url:
        found = ShadowReport.model_validate(
            remote(data_dir, config, url).get(f"/v1/shadow/{name}", since=since, version=number)
        )
    else:
        found = within(
            data_dir,
            config,
            lambda runtime: shadow_report(runtime, name, since=how_far, version=number),
        )
    show_json(found.model_dump(mode="json")) if as_json else _print(found)


def _print(found: ShadowReport) -> None:
    until = f" until {found.until:%Y-%m-%d %H:%M} UTC" if found.until else ""
    say(
        f"{found.playbook} version {found.version} as a shadow since {found.since:%Y-%m-%d %H:%M} UTC{until}"
    )
    say(
        f"{found.alerts} alerts: {found.started_live} runs of the live version, {found.started_shadow} of the shadow; {found.same} alike"
    )
    if found.open:
        say(f"{found.open} more alerts have runs that are not over yet")
    if found.more:
        say("there were more runs than are looked at; these are the newest")
    for group in found.groups:
        say(f"\n{group.difference}: {group.count}")
        for each in group.examples:
            say(f"  {each.about.received_at[:16]}  {each.about.title} ({each.about.alert_id})")
            for what in each.what:
                say(f"    {what}")
