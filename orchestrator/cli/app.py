"""The `tocsin` command: the table of its nouns, each of which is a file in `commands/`."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from orchestrator.cli.exit_codes import EPILOG
from orchestrator.cli.lazy import Entry, lazy_group


def _noun(panel: str, folder: str, name: str, help_: str) -> Entry:
    return Entry(name, f"commands.{folder}.{name.replace('-', '_')}", "app", panel, help_)


def _respond(name: str, help_: str) -> Entry:
    return _noun("Respond", "respond", name, help_)


def _author(name: str, help_: str) -> Entry:
    return _noun("Write playbooks", "author", name, help_)


def _protect(name: str, help_: str) -> Entry:
    return _noun("Protect", "protect", name, help_)


def _administer(name: str, help_: str) -> Entry:
    return _noun("Administer", "administer", name, help_)


def _operate(name: str, module: str, help_: str) -> Entry:
    return Entry(name, module, name, "Operate", help_)


COMMANDS = (
    Entry(
        "find",
        "commands.respond.find",
        "find",
        "Respond",
        "Find what names an address, host, user, domain or hash.",
    ),
    Entry(
        "contain",
        "commands.respond.contain",
        "contain",
        "Respond",
        "Contain an address, network, host, user or file hash by hand.",
    ),
    _respond("alert", "Alerts that products reported."),
    _respond("incident", "Incidents: alerts that belong together."),
    _respond("run", "Runs of playbooks."),
    _respond("approval", "Approvals: decide on the exact changes that a run wants to make."),
    _respond("containment", "Containments: what is in force on devices, and until when."),
    _respond("orphan", "Tagged objects on devices that no containment accounts for."),
    _respond("task", "Tasks: what needs a person."),
    Entry(
        "playbook",
        "commands.author.playbook.app",
        "app",
        "Write playbooks",
        "Write, test, publish and promote playbooks.",
    ),
    _author("backtest", "Play a draft over stored alerts."),
    _author("shadow", "Run a version dry next to the live one and compare."),
    _author("debug", "Step through a playbook on a staging stack."),
    _author("signing-key", "Keys that sign playbook versions."),
    _author("connector", "Connectors: the code for products, and what it can do."),
    _protect("policy", "The policy: protected assets, limits, and which changes need approval."),
    _protect("kill-switch", "Kill switches: stop changes at once."),
    _protect("breaker", "Circuit breakers of sources."),
    _protect("asset", "The inventory of hosts, users, addresses and networks."),
    _protect("own-infrastructure", "What Tocsin itself runs on, which is always protected."),
    _administer("source", "Sources: products that send alerts."),
    _administer("connection", "Connections: the systems behind the names that playbooks use."),
    _administer("contact", "Contacts: how people are notified."),
    _administer("notification", "Notifications that were sent to people."),
    _administer("person", "People and services: to whom keys, groups and contacts belong."),
    _administer("key", "API keys: who may do what."),
    _administer("keys", "Encryption keys and audit key of this installation, and their rotation."),
    _administer("audit", "The audit trail: list, export, witness and verify it."),
    _operate("up", "commands.operate.services", "Run the whole stack on this machine."),
    _operate("demo", "demo.command", "Run a complete demonstration and check its outcome."),
    _operate("doctor", "commands.operate.doctor", "Diagnose this installation."),
    _operate("api", "commands.operate.services", "Run the API alone."),
    _operate("worker", "commands.operate.services", "Run a worker alone."),
    _operate("lab", "commands.operate.services", "Run the emulators of all vendors alone."),
    _operate("migrate", "commands.operate.services", "Prepare or upgrade the database."),
    _operate("backup", "commands.operate.backup", "Back up this installation while it runs."),
    Entry(
        "retention",
        "commands.operate.retention",
        "app",
        "Operate",
        "Retention: archive old closed incidents and runs, and delete them.",
    ),
    _operate("restore", "commands.operate.backup", "Restore a backup while Tocsin is stopped."),
    _operate("version", "commands.operate.me", "Print the version."),
    _operate("me", "commands.operate.me", "Show who you are, and what your key may do."),
    _operate("login", "commands.operate.context", "Save the URL and key of an installation."),
    Entry(
        "context",
        "commands.operate.context",
        "app",
        "Operate",
        "Contexts: the installations that you log in to.",
    ),
)
"""Every command, in the order of `tocsin --help`. A group's file is named like the group."""

HELP = "Turn security alerts into contained incidents, and prove exactly what was done."

app = typer.Typer(
    cls=lazy_group(COMMANDS),
    help=HELP,
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(asked: bool) -> None:  # noqa: FBT001 - the signature is typer's
    if asked:
        typer.echo(f"tocsin {version('tocsin')}")
        raise typer.Exit


@app.callback(help=HELP)
def root(
    _: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Do nothing: every command has its own options."""
