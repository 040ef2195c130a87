"""`tocsin connection`: the systems behind the names that playbooks use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator.cli.command import Answer, Api, api_command, noun, table
from orchestrator.cli.options import parse_pair, read_json_object, read_text

app = noun("Connections: the systems behind the names that playbooks use.")

Name = Annotated[str, typer.Argument(help="The name in playbooks: firewall, edr, tickets, ...")]

_SECONDS = 60.0  # the system behind the connection is asked


@api_command(app, "add")
def add(
    api: Api,
    name: Name,
    connector: Annotated[str, typer.Option(help="The connector: palo_alto, nftables, jira, ...")],
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting: name=value; the value may be JSON. Repeatable."),
    ] = None,
    secret_file: Annotated[
        list[str] | None,
        typer.Option(help="A secret setting from a file: name=FILE. Repeatable."),
    ] = None,
    settings_file: Annotated[
        Path | None, typer.Option(help="A JSON object with settings and secrets.")
    ] = None,
    check: Annotated[
        bool, typer.Option(help="Check the credential before anything is saved.")
    ] = True,
) -> Answer:
    """Bind a name to a connector, or replace its binding; secrets are encrypted at rest."""
    settings = _settings(setting or [], secret_file or [], settings_file)
    body = {"connector": connector, "settings": settings, "check": check}
    view = api.put(f"/v1/connections/{name}", body)
    checked = "credential checked" if check else "credential not checked"
    return Answer(view, f"connection {name} saved: {view['connector']}, {checked}")


@api_command(app, "list")
def list_connections(api: Api) -> Answer:
    """List all connections, without their secrets."""
    return table(
        api.items("/v1/connections"),
        "name",
        "connector",
        "capability",
        "settings",
        "revision",
        "updated_at",
    )


@api_command(app, "check")
def check(api: Api, name: Name) -> Answer:
    """Check the credential of a connection."""
    checked = api.post(f"/v1/connections/{name}/check", seconds=_SECONDS)
    return Answer(checked, f"connection {name}: {checked['answer']}")


@api_command(app, "remove")
def remove(api: Api, name: Name) -> Answer:
    """Remove a connection and its secrets."""
    api.delete(f"/v1/connections/{name}")
    return Answer({"name": name}, f"connection {name} removed")


def _settings(given: list[str], secret_files: list[str], file: Path | None) -> dict[str, Any]:
    settings: dict[str, Any] = read_json_object(file) if file else {}
    for text in given:
        name, value = parse_pair(text, "--set")
        settings[name] = _value(value)
    for text in secret_files:
        name, path = parse_pair(text, "--secret-file")
        settings[name] = read_text(Path(path)).strip()
    return settings


def _value(text: str) -> Any:
    """Return a number, truth value, list or object where the text is one in JSON, else the text."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return text if isinstance(value, str) or value is None else value
