"""`tocsin own-infrastructure`: what Tocsin itself runs on, which is always protected."""

from __future__ import annotations

from orchestrator.cli.command import Answer, Api, api_command, noun, table

app = noun("What Tocsin itself runs on, which is always protected.")


@api_command(app, "list")
def list_own(api: Api) -> Answer:
    """List the hosts and addresses that Tocsin's processes report as their own."""
    return table(
        api.items("/v1/own-infrastructure"), "type", "value", "why", "node", "last_seen_at"
    )
