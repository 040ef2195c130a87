"""`tocsin kill-switch` and `tocsin breaker`: what is to stop at once, and what has stopped by itself?"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from orchestrator.cli.options import AsJson, Config, DataDir, actor, within
from orchestrator.cli.output import listing, say
from orchestrator.policy.stops import breaker_reset, kill_switches

app = typer.Typer(
    help="Stop changes at once: all, of one connection, playbook or source.", no_args_is_help=True
)
breaker = typer.Typer(
    help="Sources that suddenly asked for too many containments.", no_args_is_help=True
)


class Scope(StrEnum):
    """What a kill switch stops."""

    GLOBAL = "global"
    CONNECTION = "connection"
    PLAYBOOK = "playbook"
    SOURCE = "source"


@app.command("on")
def on(
    scope: Scope,
    name: Annotated[
        str, typer.Argument(help="The connection (or its connector), playbook or source.")
    ] = "*",
    reason: Annotated[
        str, typer.Option(help="Shown with everything that it refuses.")
    ] = "engaged by hand",
    stop_releases: Annotated[
        bool, typer.Option("--stop-releases", help="Lift nothing either, until the switch is off.")
    ] = False,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Stop changes from now on; what is in force stays, and is still released when its time is over, unless told otherwise."""
    by = actor()
    view = within(
        data_dir,
        config,
        lambda rt: kill_switches.engage(
            rt, scope.value, name, reason, actor=by, stop_releases=stop_releases
        ),
    )
    say(
        f"kill switch {scope.value} {name} is on" + ("; releases stop too" if stop_releases else "")
    )
    if view.warning:
        say(f"warning: {view.warning}")


@app.command("off")
def off(
    scope: Scope,
    name: Annotated[str, typer.Argument()] = "*",
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Allow changes again."""
    within(
        data_dir,
        config,
        lambda runtime: kill_switches.lift(runtime, scope.value, name, actor=actor()),
    )
    say(f"kill switch {scope.value} {name} is off")


@app.command("list")
def engaged(as_json: AsJson = False, data_dir: DataDir = None, config: Config = None) -> None:
    """The switches that are on."""
    found = within(data_dir, config, kill_switches.list_switches)
    listing(
        found,
        ("scope", "name", "reason", "stop_releases", "engaged_by", "engaged_at"),
        as_json=as_json,
    )


@breaker.command("list")
def tripped(as_json: AsJson = False, data_dir: DataDir = None, config: Config = None) -> None:
    """The sources whose every change people are asked about."""
    listing(
        within(data_dir, config, breaker_reset.list_breakers),
        ("source", "reason", "tripped_at"),
        as_json=as_json,
    )


@breaker.command("reset")
def reset(
    source: Annotated[str, typer.Argument(help="The source, after you have looked at its alerts.")],
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Trust a source as before; its containments are counted anew from now on."""
    within(
        data_dir,
        config,
        lambda runtime: breaker_reset.reset_breaker(runtime, source, actor=actor()),
    )
    say(f"the breaker of source {source} is reset")
