"""Which commands are there? One line each."""

from __future__ import annotations

import typer

from orchestrator.cli import (
    approvals,
    assets,
    audit,
    backtest,
    connections,
    contacts,
    containments,
    doctor,
    keys,
    kill_switches,
    matters,
    parts,
    playbooks,
    policies,
    runs,
    shadow,
    signing_keys,
    sources,
)
from orchestrator.cli.demo.command import demo

app = typer.Typer(
    help="Tocsin turns a security alert into a contained incident, and can prove afterwards exactly what it did.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.command()(parts.up)
app.command()(demo)
app.command()(doctor.doctor)
app.command()(parts.api)
app.command()(parts.worker)
app.command()(parts.lab)
app.command()(parts.migrate)
app.command()(backtest.backtest)
app.add_typer(sources.app, name="source")
app.add_typer(connections.app, name="connection")
app.add_typer(keys.app, name="key")
app.add_typer(signing_keys.app, name="signing-key")
app.add_typer(contacts.app, name="contact")
app.add_typer(playbooks.app, name="playbook")
app.add_typer(policies.app, name="policy")
app.add_typer(kill_switches.app, name="kill-switch")
app.add_typer(kill_switches.breaker, name="breaker")
app.add_typer(assets.app, name="asset")
app.add_typer(shadow.app, name="shadow")
app.add_typer(runs.app, name="run")
app.add_typer(approvals.app, name="approval")
app.add_typer(containments.app, name="containments")
app.add_typer(matters.app, name="matter")
app.add_typer(audit.app, name="audit")
