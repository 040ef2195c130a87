"""Which commands are there? One line each."""

from __future__ import annotations

import typer

from orchestrator.cli.commands import (
    approval,
    asset,
    audit,
    backtest,
    connection,
    contact,
    containment,
    doctor,
    key,
    kill_switch,
    playbook,
    policy,
    run,
    services,
    shadow,
    signing_key,
    source,
    task,
)
from orchestrator.cli.demo.command import demo

app = typer.Typer(
    help="Tocsin turns a security alert into a contained incident, and can prove afterwards exactly what it did.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.command()(services.up)
app.command()(demo)
app.command()(doctor.doctor)
app.command()(services.api)
app.command()(services.worker)
app.command()(services.lab)
app.command()(services.migrate)
app.command()(backtest.backtest)
app.add_typer(source.app, name="source")
app.add_typer(connection.app, name="connection")
app.add_typer(key.app, name="key")
app.add_typer(signing_key.app, name="signing-key")
app.add_typer(contact.app, name="contact")
app.add_typer(playbook.app, name="playbook")
app.add_typer(policy.app, name="policy")
app.add_typer(kill_switch.app, name="kill-switch")
app.add_typer(kill_switch.breaker, name="breaker")
app.add_typer(asset.app, name="asset")
app.add_typer(shadow.app, name="shadow")
app.add_typer(run.app, name="run")
app.add_typer(approval.app, name="approval")
app.add_typer(containment.app, name="containments")
app.add_typer(task.app, name="task")
app.add_typer(audit.app, name="audit")
