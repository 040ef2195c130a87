"""What commands print of approvals and dry runs: everything that a person decides on."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.briefing.examples import EXAMPLE_APPROVAL
from orchestrator.cli.approvals.render import render_approval
from orchestrator.cli.commands.respond.run_lines import format_foreseen_change
from orchestrator.domain.errors import Invalid
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
FORM = {
    "verdict": {
        "type": "choice",
        "label": "Verdict",
        "required": True,
        "choices": ["phishing", "spam"],
    },
    "mails": {"type": "integer", "label": "How many mails", "required": False, "choices": []},
    "sure": {"type": "boolean", "label": "Sure", "required": True, "choices": []},
}


@pytest.fixture(scope="module")
def approval() -> dict[str, Any]:
    """The example of the API's documentation."""
    return dict(EXAMPLE_APPROVAL)


def test_an_approval_is_shown_with_all_that_a_person_decides_on(approval: dict[str, Any]) -> None:
    shown = {**approval, "decisions": [DECISION], "approvals": 1, "break_glass": BREAK_GLASS}
    assert list(render_approval(shown)) == [
        "apr_1f0c: pending",
        "  > Block 198.51.100.7?",
        (
            "  c2-beacon-containment version 3, step contain, run run_019a8c7d21f04b6c1e2f3a4b5c6d,"
            " expires 2026-01-01 12:15 UTC"
        ),
        "  contain  firewall.block_address  address 198.51.100.7",
        "    “Tag 198.51.100.7 as blocked”",
        "    Lasts: for 24h, until 2026-01-02 12:02 UTC if approved now",
        "    Policy: ask, rule critical-targets: the host is critical",
        "    Undo: Tocsin lifts it when its last lease ends, or when a person releases it.",
        f"    change {approval['planned_changes'][0]['digest']}",
        "  Alert",
        "    Title: “Beacon to a known C2 server”",
        "    Severity: high (4)",
        "    Class: c2_beacon",
        "    Rule: “2027865”",
        "    Source: suricata-dc1 (suricata)",
        "    Time: 2026-01-01 11:59 UTC",
        "    Alert: alr_019a8c7d21f04b6c1e2f3a4b5c6d",
        "    Incident: inc_019a8c7d21f04b6c1e2f3a4b5c6d",
        "  Assets",
        "    Host: ws-042: critical; workstation; tags: finance",
        "  Evidence",
        "    Verdict: known: yes",
        "    Verdict: malicious: 42",
        "  Why it needs approval",
        "    The playbook asks: alert.host.critical",
        "    Because: the host is critical",
        "  Who decides",
        "    Group: soc-leads",
        "    Approvals: 1 of 1",
        "    Asked: ann, bob",
        "    ann: approve, 2026-01-01 12:01 UTC by email: “seen on the proxy”",
        "    ada: break-glass: “no one is awake”; review pending",
        f"  digest {approval['digest']}",
    ]


def test_the_leases_that_a_restore_ends_are_shown(approval: dict[str, Any]) -> None:
    holder = {
        "lease_id": "run_7/block",
        "containment_id": "k7",
        "run_id": "run_7",
        "playbook": "c2",
        "target": {"type": "host", "value": "ws-7"},
        "expires_at": None,
    }
    change = {**approval["planned_changes"][0], "effect": "restore", "holders": [holder]}
    lines = list(render_approval({**approval, "planned_changes": [change]}))
    assert "    Ends the lease of: run run_7 (c2) on host ws-7, without an end" in lines


def test_fields_of_a_form_are_shown_as_options(approval: dict[str, Any]) -> None:
    lines = list(render_approval({**approval, "planned_changes": [], "kind": "form", "form": FORM}))
    start = lines.index("  Fields")
    assert lines[start + 1 : start + 4] == [
        "    --field verdict=phishing|spam  Verdict",
        "    --field mails=INTEGER  How many mails (optional)",
        "    --field sure=true|false  Sure",
    ]


def test_a_field_of_a_newer_api_is_ignored(approval: dict[str, Any]) -> None:
    assert next(render_approval({**approval, "mood": "tense"})) == "apr_1f0c: pending"


def test_an_approval_of_an_older_api_is_not_shown_in_part(approval: dict[str, Any]) -> None:
    older = {name: value for name, value in approval.items() if name != "evidence"}
    with pytest.raises(Invalid, match=r"another version than this command.* evidence;"):
        next(render_approval(older))


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
