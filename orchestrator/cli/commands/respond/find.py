"""`tocsin find`: what is known of an address, host, user, domain or hash."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from orchestrator.cli.command import Answer, Api, api_entry
from orchestrator.cli.output import print_line
from orchestrator.cli.tables import print_table

_KINDS = ("alerts", "runs", "approvals", "containments", "audit")
_COLUMNS = ("id", "created_at", "state", "title")


@api_entry
def find(
    api: Api,
    value: Annotated[
        str,
        typer.Argument(help="In any spelling: 198.51.100.7; or TYPE:VALUE: host:ws-1."),
    ],
    limit: Annotated[int, typer.Option(min=1, max=100, help="The most items of each kind.")] = 20,
) -> Answer:
    """Find what names a value, and what was done about it."""
    found = api.get("/v1/search", value=value, limit=limit)
    return Answer(found, lambda: _print(found))


def _print(found: dict[str, Any]) -> None:
    for kind in _KINDS:
        items = found[kind]
        more = ", the newest" if kind in found["more"] else ""
        number = "not allowed to read" if items is None else f"{len(items)}{more}"
        print_line(f"{kind}: {number}")
        if items:
            print_table(items, _COLUMNS)
