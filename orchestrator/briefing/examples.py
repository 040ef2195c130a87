"""Examples of approvals, for the API's documentation."""

from __future__ import annotations

from typing import Any

EXAMPLE_DIGEST = "6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7e8f901234567"
PLANNED_CHANGE: dict[str, Any] = {
    "connection": "firewall",
    "connector": "palo_alto",
    "action": "block_address",
    "effect": "contain",
    "input": {"address": "198.51.100.7"},
    "target": {"type": "address", "value": "198.51.100.7"},
    "summary": "Tag 198.51.100.7 as blocked",
    "changed": True,
    "digest": EXAMPLE_DIGEST,
    "lease": {"seconds": 86400, "expires_at": "2026-01-02T12:02:00Z"},
    "holders": [],
    "policy": {"outcome": "ask", "rule": "critical-targets", "reasons": ["the host is critical"]},
    "undo": "Tocsin lifts it when its last lease ends, or when a person releases it.",
    "planned_change": {
        "target": {"type": "address", "value": "198.51.100.7"},
        "changed": True,
        "summary": "Tag 198.51.100.7 as blocked",
    },
}
DECISION: dict[str, Any] = {
    "person": "ann",
    "decision": "approve",
    "comment": "seen it on the proxy too",
    "form": None,
    "via": "api",
    "decided_at": "2026-01-01T12:03:00Z",
    "withdrawn_at": None,
}
BREAK_GLASS: dict[str, Any] = {
    "by": "ann",
    "reason": "the leads are on a plane, the host is being encrypted",
    "review": "pending",
    "reviewed_by": None,
    "reviewed_at": None,
    "comment": "",
}
EXAMPLE_APPROVAL: dict[str, Any] = {
    "id": "apr_1f0c",
    "digest": EXAMPLE_DIGEST,
    "kind": "change",
    "question": "Block 198.51.100.7?",
    "planned_changes": [PLANNED_CHANGE],
    "form": None,
    "run_id": "run_019a8c7d21f04b6c1e2f3a4b5c6d",
    "path": "contain",
    "batch": "bat_1f0c",
    "playbook": "c2-beacon-containment",
    "version": 3,
    "incident_id": "inc_019a8c7d21f04b6c1e2f3a4b5c6d",
    "severity": 4,
    "alert": {
        "id": "alr_019a8c7d21f04b6c1e2f3a4b5c6d",
        "title": "Beacon to a known C2 server",
        "rule": "2027865",
        "severity": 4,
        "severity_name": "high",
        "alert_class": "c2_beacon",
        "source": "suricata-dc1",
        "product": "suricata",
        "alerted_at": "2026-01-01T11:59:58Z",
        "created_at": "2026-01-01T12:00:00Z",
    },
    "more_severe": None,
    "assets": [
        {
            "type": "host",
            "value": "ws-042",
            "role": "host",
            "kind": "workstation",
            "critical": True,
            "tags": ["finance"],
            "known": True,
        }
    ],
    "evidence": [{"label": "Verdict", "value": {"known": True, "malicious": 42}}],
    "by": "soc-leads",
    "handed_over_from": None,
    "handed_over_by": None,
    "quorum": 1,
    "approvals": 0,
    "asked": ["ann", "bob"],
    "decisions": [],
    "mine": True,
    "state": "pending",
    "condition": "alert.host.critical",
    "reasons": ["the host is critical"],
    "escalated": False,
    "level": 0,
    "replaced_by": None,
    "reminders": 1,
    "break_glass": None,
    "created_at": "2026-01-01T12:00:01Z",
    "expires_at": "2026-01-01T12:15:01Z",
    "decided_at": None,
}
