"""`tocsin source`: who may send alerts?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr

from orchestrator.cli.options import (
    AsJson,
    Config,
    DataDir,
    actor,
    json_object,
    length,
    pair,
    read_text,
    within,
)
from orchestrator.cli.output import console, listing, say
from orchestrator.domain.run import Mode
from orchestrator.intake import sources
from orchestrator.intake.authenticate import Scheme

app = typer.Typer(
    help="Who may send alerts, and how they prove who they are.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(help="The last part of the address: /v1/alerts/NAME.")]


@app.command("add")
def add(
    name: Name,
    product: Annotated[str, typer.Option(help="What sends: suricata, wazuh, generic, ...")],
    auth: Annotated[Scheme, typer.Option(help="How the sender proves who it is.")],
    secret_file: Annotated[
        Path | None,
        typer.Option(help="Holds the secret; without it one is made, and printed this once."),
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="Of the scheme, such as header=x-my-token.")
    ] = None,
    mapping_file: Annotated[
        Path | None, typer.Option(help="JSON: where the fields of a generic product lie.")
    ] = None,
    correlate_by: Annotated[
        str, typer.Option(help="What joins alerts into one incident.")
    ] = "host",
    correlate_within: Annotated[
        str, typer.Option(help="For how long they are joined, such as 1h.")
    ] = "1h",
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Its alerts start runs that only look, and say what they would do."
        ),
    ] = False,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Let a product send alerts to /v1/alerts/NAME; prints the secret once where none is given."""
    secret = SecretStr(read_text(secret_file).strip()) if secret_file else None
    mapping = json_object(mapping_file) if mapping_file else None
    _, made = within(
        data_dir,
        config,
        lambda runtime: sources.add_source(
            runtime,
            name,
            product,
            auth,
            secret=secret,
            options=dict(pair(text, "--option") for text in option or []),
            mapping=mapping,
            correlate_by=correlate_by,
            correlate_within=length(correlate_within, "--correlate-within"),
            mode=Mode.DRY_RUN if dry_run else Mode.LIVE,
            actor=actor(),
        ),
    )
    say(f"POST /v1/alerts/{name} takes what {product} sends, authenticated by {auth.value}")
    if made is not None:
        say("secret, shown only now:")
        console.out(made.get_secret_value(), highlight=False)


@app.command("list")
def show(as_json: AsJson = False, data_dir: DataDir = None, config: Config = None) -> None:
    """All sources, without their secrets."""
    found = within(data_dir, config, sources.list_sources)
    listing(
        found,
        ("name", "product", "scheme", "correlate_by", "correlate_within", "mode", "created_at"),
        as_json=as_json,
    )


@app.command("remove")
def remove(name: Name, data_dir: DataDir = None, config: Config = None) -> None:
    """Take no more alerts from it; what it sent stays."""
    within(data_dir, config, lambda runtime: sources.remove_source(runtime, name, actor=actor()))
    say(f"source {name} is removed")
