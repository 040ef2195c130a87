"""`tocsin source`: products that send alerts, and how they authenticate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from orchestrator.cli.command import Answer, Api, api_command, noun, table
from orchestrator.cli.options import parse_pairs, parse_seconds, read_json_object, read_text

app = noun("Sources: products that send alerts.")

Name = Annotated[str, typer.Argument(help="The last part of its URL: /v1/webhooks/NAME.")]
Scheme = Literal["standard_webhooks", "github", "header", "bearer", "basic"]


@api_command(app, "add")
def add(
    api: Api,
    name: Name,
    product: Annotated[str, typer.Option(help="The product: suricata, wazuh, generic, ...")],
    auth: Annotated[Scheme, typer.Option(help="How the sender authenticates.")],
    secret_file: Annotated[
        Path | None,
        typer.Option(help="Holds the secret; without it, one is generated and printed once."),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(help="An option of the scheme, such as header=x-my-token. Repeatable."),
    ] = None,
    mapping_file: Annotated[
        Path | None, typer.Option(help="JSON: the fields of a generic product.")
    ] = None,
    correlate_by: Annotated[
        str,
        typer.Option(help="What joins alerts into an incident: host, user, remote, rule, none."),
    ] = "host",
    correlate_within: Annotated[
        str, typer.Option(help="For how long alerts are joined, such as 1h.")
    ] = "1h",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Its alerts start dry runs, which change nothing.")
    ] = False,
) -> Answer:
    """Accept alerts of a product at /v1/webhooks/NAME."""
    body: dict[str, Any] = {
        "name": name,
        "product": product,
        "scheme": auth,
        "secret": read_text(secret_file).strip() if secret_file else None,
        "options": parse_pairs(option, "--option"),
        "mapping": read_json_object(mapping_file) if mapping_file else None,
        "correlate_by": correlate_by,
        "correlate_within": parse_seconds(correlate_within, "--correlate-within"),
        "mode": "dry_run" if dry_run else "live",
    }
    source = api.post("/v1/sources", body)
    lines = [f"source {name}: POST /v1/webhooks/{name} accepts {product}, authenticated by {auth}"]
    if source["secret"] is not None:
        lines += ["secret, shown only now:", source["secret"]]
    return Answer(source, "\n".join(lines))


@api_command(app, "list")
def list_sources(api: Api) -> Answer:
    """List all sources, without their secrets."""
    return table(
        api.items("/v1/sources"),
        "name",
        "product",
        "scheme",
        "correlate_by",
        "correlate_within",
        "mode",
        "created_at",
    )


@api_command(app, "remove")
def remove(api: Api, name: Name) -> Answer:
    """Accept no more alerts of a source; its alerts are kept."""
    api.delete(f"/v1/sources/{name}")
    return Answer({"name": name}, f"source {name} removed")
