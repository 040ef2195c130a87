"""`tocsin connection`: the systems behind the names that playbooks use."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator.cli.command import Answer, Api, api_command, noun, table
from orchestrator.cli.filters import Name as NamePart
from orchestrator.cli.filters import Since, SortByName, Until, period
from orchestrator.cli.options import parse_pair, read_json_object, read_text
from orchestrator.domain.errors import Invalid, TocsinError

app = noun("Connections: the systems behind the names that playbooks use.")

Name = Annotated[str, typer.Argument(help="The name in playbooks: firewall, edr, tickets, ...")]

_SECRET_NAME = re.compile(r"token|secret|password|passphrase|api_?key|private_key", re.IGNORECASE)
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
    secret: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="A secret to type at a prompt, or to pipe as a line. Repeatable."
        ),
    ] = None,
    secret_file: Annotated[
        list[str] | None,
        typer.Option(help="A secret setting from a file: name=FILE. Repeatable."),
    ] = None,
    secret_env: Annotated[
        list[str] | None,
        typer.Option(help="A secret from an environment variable: name=VARIABLE. Repeatable."),
    ] = None,
    settings_file: Annotated[
        Path | None, typer.Option(help="A JSON object with settings and secrets.")
    ] = None,
    check: Annotated[
        bool, typer.Option(help="Check the credential before anything is saved.")
    ] = True,
) -> Answer:
    """Bind a name to a connector, or replace its binding; secrets are encrypted at rest."""
    settings = {
        **(read_json_object(settings_file) if settings_file else {}),
        **_open_settings(connector, setting or []),
        **_secrets(secret or [], secret_file or [], secret_env or []),
    }
    body = {"connector": connector, "settings": settings, "check": check}
    view = api.put(f"/v1/connections/{name}", body)
    checked = "credential checked" if check else "credential not checked"
    return Answer(view, f"connection {name} saved: {view['connector']}, {checked}")


@api_command(app, "list")
def list_connections(
    api: Api,
    name: NamePart = None,
    connector: Annotated[str | None, typer.Option(help="Only of this connector.")] = None,
    capability: Annotated[str | None, typer.Option(help="Only with this capability.")] = None,
    since: Since = None,
    until: Until = None,
    order: SortByName = "name",
) -> Answer:
    """List connections, without their secrets; the time is when they were saved last."""
    query = {
        **period(since, until),
        "name": name,
        "connector": connector,
        "capability": capability,
        "sort": order,
    }
    return table(
        api.items("/v1/connections", **query),
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


def _open_settings(connector: str, given: list[str]) -> dict[str, Any]:
    """Return the settings of `--set`. Raise Invalid for a secret, without repeating it."""
    settings: dict[str, Any] = {}
    for text in given:
        name, value = parse_pair(text, "--set")
        if _is_secret(connector, name):
            raise Invalid(
                f"--set {name}=...: is a secret, and a command line stays in the shell's history "
                f"and is visible to other users; give it with --secret {name} (a prompt), "
                f"--secret-file {name}=FILE or --secret-env {name}=VARIABLE, and replace the one "
                "that you typed"
            )
        settings[name] = _value(value)
    return settings


def _secrets(prompted: list[str], files: list[str], variables: list[str]) -> dict[str, str]:
    found = {name: _ask(name) for name in prompted}
    for text in files:
        name, path = parse_pair(text, "--secret-file")
        found[name] = read_text(Path(path)).strip()
    for text in variables:
        name, variable = parse_pair(text, "--secret-env")
        if not os.environ.get(variable):
            raise Invalid(f"--secret-env {text}: the variable {variable} is not set")
        found[name] = os.environ[variable]
    return found


def _ask(name: str) -> str:
    if sys.stdin.isatty():
        return str(typer.prompt(name, hide_input=True))
    line = sys.stdin.readline().strip()
    if not line:
        raise Invalid(f"--secret {name}: nothing to read; type it, or pipe it as a line")
    return line


def _is_secret(connector: str, name: str) -> bool:
    """Return whether a setting is a secret; for a connector that is unknown here, by its name."""
    from connectors.registry import connector as find
    from connectors.sdk.settings import secret_fields

    try:
        return name in secret_fields(find(connector).settings_type)
    except TocsinError:
        return _SECRET_NAME.search(name) is not None


def _value(text: str) -> Any:
    """Return a number, truth value, list or object where the text is one in JSON, else the text."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return text if isinstance(value, str) or value is None else value
