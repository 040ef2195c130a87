"""Which commands are there? One line each."""

from __future__ import annotations

import typer

from orchestrator.cli import assets, audit, connections, doctor, keys, parts, playbooks, policies, runs, sources
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
app.add_typer(sources.app, name="source")
app.add_typer(connections.app, name="connection")
app.add_typer(keys.app, name="key")
app.add_typer(playbooks.app, name="playbook")
app.add_typer(policies.app, name="policy")
app.add_typer(policies.switches, name="kill-switch")
app.add_typer(assets.app, name="asset")
app.add_typer(runs.app, name="run")
app.add_typer(runs.approvals, name="approval")
app.add_typer(runs.containments, name="containments")
app.add_typer(audit.app, name="audit")
