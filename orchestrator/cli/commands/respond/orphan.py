"""`tocsin orphan`: tagged objects on devices that no containment accounts for."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from orchestrator.cli.command import Answer, Api, api_command, noun
from orchestrator.cli.output import print_line
from orchestrator.cli.tables import print_table

app = noun("Tagged objects on devices that no containment accounts for.")

_SECONDS = 120.0  # devices are asked one after the other


@api_command(app, "list")
def list_orphans(
    api: Api,
    connection: Annotated[str | None, typer.Option(help="Only this connection.")] = None,
) -> Answer:
    """List objects with Tocsin's tag that are not in force, and devices that cannot list them."""
    found = api.get("/v1/orphans", seconds=_SECONDS, connection=connection)["items"]
    return Answer(found, lambda: _print(found))


def _print(found: list[dict[str, Any]]) -> None:
    for each in found:
        if each["why"]:
            problem = "" if each["listed"] else "cannot be listed: "
            print_line(f"{each['connection']}: {problem}{each['why']}")
    orphans = [
        {"connection": each["connection"], **orphan} for each in found for orphan in each["orphans"]
    ]
    print_table(orphans, ("connection", "action", "target", "tag", "note"))
