"""`tocsin policy` and `tocsin kill-switch`: what may nobody do?"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.options import AsJson, Config, DataDir, actor, read_text, within
from orchestrator.cli.show import console, listing, say
from orchestrator.configuration import kill_switches, policies
from orchestrator.policy.document import parse_policy

app = typer.Typer(help="Protected assets, limits, and what people must agree with.", no_args_is_help=True)
switches = typer.Typer(help="Stop changes at once: all, of one connection, or of one playbook.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(help="A policy in YAML.")]


class Scope(StrEnum):
    """What a kill switch stops."""

    GLOBAL = "global"
    CONNECTION = "connection"
    PLAYBOOK = "playbook"


@app.command("show")
def show(data_dir: DataDir = None, config: Config = None) -> None:
    """The policy in force, as it was published."""
    console.out(within(data_dir, config, policies.current_policy).source, highlight=False)


@app.command("check")
def check(file: File) -> None:
    """Say what is wrong with a policy, by line and column."""
    parse_policy(read_text(file), str(file))
    say(f"{file}: good")


@app.command("publish")
def publish(file: File, data_dir: DataDir = None, config: Config = None) -> None:
    """Put a policy in force, for every change from now on."""
    text = read_text(file)
    view = within(data_dir, config, lambda runtime: policies.publish_policy(runtime, text, actor=actor()))
    say(f"policy version {view.version} is in force (digest {view.digest})")


@switches.command("on")
def on(
    scope: Scope,
    name: Annotated[str, typer.Argument(help="The connection or playbook.")] = "*",
    reason: Annotated[str, typer.Option(help="Shown with everything that it refuses.")] = "engaged by hand",
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Stop changes from now on; what is in force stays, and is still released when its time is over."""
    within(data_dir, config, lambda runtime: kill_switches.engage(runtime, scope.value, name, reason, actor=actor()))
    say(f"kill switch {scope.value} {name} is on")


@switches.command("off")
def off(scope: Scope, name: Annotated[str, typer.Argument()] = "*", data_dir: DataDir = None, config: Config = None) -> None:
    """Allow changes again."""
    within(data_dir, config, lambda runtime: kill_switches.lift(runtime, scope.value, name, actor=actor()))
    say(f"kill switch {scope.value} {name} is off")


@switches.command("list")
def engaged(as_json: AsJson = False, data_dir: DataDir = None, config: Config = None) -> None:
    """The switches that are on."""
    found = within(data_dir, config, kill_switches.list_switches)
    listing(found, ("scope", "name", "reason", "engaged_by", "engaged_at"), as_json=as_json)
