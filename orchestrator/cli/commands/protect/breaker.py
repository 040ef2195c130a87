"""`tocsin breaker`: circuit breakers of sources that asked for too many containments."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer

from orchestrator.cli.command import Answer, Api, api_command, noun, table

app = noun("Circuit breakers of sources.")


@api_command(app, "list")
def list_breakers(api: Api) -> Answer:
    """List tripped breakers: every change for these sources needs approval."""
    return table(api.items("/v1/breakers"), "source", "reason", "created_at")


@api_command(app, "reset")
def reset(
    api: Api,
    source: Annotated[str, typer.Argument(help="The source, after you checked its alerts.")],
) -> Answer:
    """Reset a breaker; the count of containments starts from zero."""
    api.delete(f"/v1/breakers/{quote(source, safe='')}")
    return Answer({"source": source}, f"breaker of source {source} reset")
