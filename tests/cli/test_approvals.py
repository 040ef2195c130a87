"""Does a person read all that they agree with, and nothing that moves their cursor?"""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

from api.schemas.approvals import Approval
from orchestrator.cli.commands.approval import app, lines

EXAMPLE: dict[str, Any] = Approval.model_config["json_schema_extra"]["examples"][0]  # type: ignore[call-overload, index]
ANSWER = {
    "person": "ann", "decision": "approve", "comment": "seen", "form": None, "via": "email", "at": "2026-01-01T12:01:00Z", "withdrawn_at": None,
}  # fmt: skip
GLASS = {
    "broken_by": "ada",
    "reason": "no one is awake",
    "review": "pending",
    "reviewed_by": None,
    "reviewed_at": None,
    "comment": "",
}


def test_an_approval_is_shown_with_its_receipts_its_people_and_its_digest() -> None:
    assert list(lines({**EXAMPLE, "answers": [ANSWER], "glass": GLASS})) == [
        "apr_1f0c: pending",
        "  Block 198.51.100.7?",
        "  for c2-beacon-containment version 3, step contain, run run_019a8c7d21f04b6c1e2f3a4b5c6d",
        "  asked of soc-leads, 1 to agree, until 2026-01-01T12:15:01Z",
        "  because the host is critical",
        "  contain  firewall.block_address  address 198.51.100.7",
        "    Tag 198.51.100.7 as blocked",
        f"    change {EXAMPLE['planned_changes'][0]['digest']}",
        "  ann said approve at 2026-01-01T12:01:00Z by email: seen",
        "  ada decided alone: no one is awake; review pending",
        f"  digest {EXAMPLE['digest']}",
    ]


def test_one_that_is_void_names_what_replaced_it() -> None:
    assert (
        next(lines({**EXAMPLE, "state": "void", "replaced_by": "apr_2"}))
        == "apr_1f0c: void, asked anew as apr_2"
    )


@pytest.mark.parametrize(
    "command", ["list", "show", "approve", "decline", "withdraw", "break-glass", "review"]
)
def test_every_command_has_help(command: str) -> None:
    assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0
