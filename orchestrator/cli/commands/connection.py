"""`tocsin connection`: which system stands behind a name that playbooks use?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator.cli.options import (
    AsJson,
    Config,
    DataDir,
    actor,
    json_object,
    pair,
    read_text,
    within,
)
from orchestrator.cli.output import listing, say
from orchestrator.connections import connections

app = typer.Typer(
    help="Which system stands behind a name that playbooks use.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(help="What playbooks call it: firewall, edr, tickets, ...")]


@app.command("add")
def add(
    name: Name,
    connector: Annotated[str, typer.Option(help="Which connector: palo_alto, nftables, jira, ...")],
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="A setting: name=value; value may be JSON.")
    ] = None,
    secret_file: Annotated[
        list[str] | None, typer.Option(help="A secret setting out of a file: name=FILE.")
    ] = None,
    settings_file: Annotated[
        Path | None, typer.Option(help="JSON object with settings, secrets too.")
    ] = None,
    check: Annotated[bool, typer.Option(help="Try the credential before it is saved.")] = True,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Bind NAME to a connector, or bind it anew; secrets are encrypted at rest."""
    settings = _settings(setting or [], secret_file or [], settings_file)
    saved = within(
        data_dir,
        config,
        lambda runtime: connections.save_connection(
            runtime, name, connector, settings, actor=actor(), check=check
        ),
    )
    say(
        f"connection {saved.name} is {saved.connector}{', and its credential works' if check else ' (its credential was not tried)'}"
    )


@app.command("list")
def show(as_json: AsJson = False, data_dir: DataDir = None, config: Config = None) -> None:
    """All connections, without their secrets."""
    found = within(data_dir, config, connections.list_connections)
    listing(
        found,
        ("name", "connector", "capability", "settings", "revision", "saved_at"),
        as_json=as_json,
    )


@app.command("check")
def check(name: Name, data_dir: DataDir = None, config: Config = None) -> None:
    """Try the credential."""
    say(
        f"connection {name}: {within(data_dir, config, lambda runtime: connections.check_connection(runtime, name))}"
    )


@app.command("remove")
def remove(name: Name, data_dir: DataDir = None, config: Config = None) -> None:
    """Forget a connection with its secrets."""
    within(
        data_dir,
        config,
        lambda runtime: connections.remove_connection(runtime, name, actor=actor()),
    )
    say(f"connection {name} is removed")


def _settings(given: list[str], secret_files: list[str], file: Path | None) -> dict[str, Any]:
    found: dict[str, Any] = json_object(file) if file else {}
    for text in given:
        name, value = pair(text, "--set")
        found[name] = _value(value)
    for text in secret_files:
        name, path = pair(text, "--secret-file")
        found[name] = read_text(Path(path)).strip()
    return found


def _value(text: str) -> Any:
    """JSON where it reads as a number, a truth value, a list or an object; else the text itself."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return text if isinstance(value, str) or value is None else value
