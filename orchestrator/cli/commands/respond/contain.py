"""`tocsin contain`: contain one target by hand."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from orchestrator.cli.command import Answer, Api, api_entry
from orchestrator.cli.options import parse_seconds


@api_entry
def contain(
    api: Api,
    type_: Annotated[
        Literal["address", "network", "domain", "url", "host", "user", "hash"],
        typer.Argument(metavar="TYPE", help="address, network, domain, url, host, user or hash."),
    ],
    value: Annotated[str, typer.Argument(help="The target, such as 203.0.113.5.")],
    reason: Annotated[str, typer.Option(help="Why; for the approver and for the audit trail.")],
    length: Annotated[
        str | None,
        typer.Option(
            "--for", metavar="DURATION", help="Such as 4h; without it, until it is released."
        ),
    ] = None,
    connection: Annotated[
        str | None, typer.Option(help="Where several contain this type of target.")
    ] = None,
    action: Annotated[
        str | None, typer.Option(help="Where several contain this type of target.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Plan and evaluate only.")] = False,
) -> Answer:
    """Contain a target by hand. The policy evaluates it, and asks for approval where it says so."""
    if length is not None:
        parse_seconds(length, "--for")
    body = {
        "target": {"type": type_, "value": value},
        "for": length,
        "reason": reason,
        "connection": connection,
        "action": action,
        "mode": "dry_run" if dry_run else "live",
    }
    run = api.post("/v1/containments", body)
    return Answer(run, f"run {run['id']} started; follow it with `tocsin run show {run['id']}`")
