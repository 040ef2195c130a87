"""What commands print of approvals and dry runs: everything that a person decides on."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.approvals.views import EXAMPLE_APPROVAL
from orchestrator.cli.commands.respond.approval import render_approval
from orchestrator.cli.commands.respond.run_lines import format_foreseen_change
from orchestrator.runs.views import DryRunChange

CHANGE: dict[str, Any] = DryRunChange.model_config["json_schema_extra"]["example"]  # type: ignore[index, call-overload, assignment]
DECISION = {
    "person": "ann",
    "decision": "approve",
    "comment": "seen on the proxy",
    "form": None,
    "via": "email",
    "decided_at": "2026-01-01T12:01:00Z",
    "withdrawn_at": None,
}
BREAK_GLASS = {
    "by": "ada",
    "reason": "no one is awake",
    "review": "pending",
    "reviewed_by": None,
    "reviewed_at": None,
    "comment": "",
}


@pytest.fixture(scope="module")
def approval() -> dict[str, Any]:
    """The example of the API's documentation."""
    return dict(EXAMPLE_APPROVAL)


def test_an_approval_is_shown_with_its_changes_its_people_and_its_digest(
    approval: dict[str, Any],
) -> None:
    shown = {**approval, "decisions": [DECISION], "break_glass": BREAK_GLASS}
    assert list(render_approval(shown)) == [
        "apr_1f0c: pending",
        "  Block 198.51.100.7?",
        "  c2-beacon-containment version 3, step contain, run run_019a8c7d21f04b6c1e2f3a4b5c6d",
        "  asks soc-leads, quorum 1, expires 2026-01-01T12:15:01Z",
        "  because the host is critical",
        "  contain  firewall.block_address  address 198.51.100.7",
        "    Tag 198.51.100.7 as blocked",
        f"    change {approval['planned_changes'][0]['digest']}",
        "  ann: approve at 2026-01-01T12:01:00Z by email: seen on the proxy",
        "  ada: break-glass: no one is awake; review pending",
        f"  digest {approval['digest']}",
    ]


def test_a_void_approval_names_the_one_that_replaces_it(approval: dict[str, Any]) -> None:
    void = {**approval, "state": "void", "replaced_by": "apr_2"}
    assert next(render_approval(void)) == "apr_1f0c: void, replaced by apr_2"


def test_a_change_of_a_dry_run_names_its_target_its_lease_and_who_would_be_asked() -> None:
    assert format_foreseen_change(CHANGE) == (
        "contain/block: firewall.block_address (contain): Tag 198.51.100.7 as blocked, for 24h; "
        "would ask soc-leads (by the step): Block 198.51.100.7?"
    )
    denied = {**CHANGE, "verdict": {"outcome": "deny", "reasons": ["it is protected"]}}
    assert format_foreseen_change(denied).endswith("denied: it is protected")
    unchanged = {**CHANGE, "changed": False}
    assert format_foreseen_change(unchanged).endswith("already in the desired state")
    assert format_foreseen_change({**CHANGE, "asked": None}).endswith("no approval needed")
