"""How do the views of the use cases look? An example of each, for OpenAPI."""

from __future__ import annotations

from typing import Any

PLAYBOOK = {
    "name": "c2-beacon-containment",
    "version": 3,
    "digest": "6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
    "title": "Contain a host that beacons to a command-and-control server",
    "owner": "soc-tier-2",
    "source": "playbook: c2-beacon-containment\nversion: 3\n...",
    "published_at": "2026-01-01T12:00:00Z",
    "published_by": "person:ann",
    "retired": False,
    "stage": "live",
    "tested": True,
}
POLICY = {
    "version": 2,
    "digest": "6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
    "source": "protect:\n  networks: [10.0.0.0/24]\n",
    "published_at": "2026-01-01T12:00:00Z",
    "published_by": "person:ann",
    "warnings": [],
}
KILL_SWITCH = {
    "scope": "connection",
    "name": "firewall",
    "reason": "maintenance",
    "engaged_by": "person:ann",
    "engaged_at": "2026-01-01T12:00:00Z",
    "stop_releases": False,
    "warning": None,
}
SIGNING_KEY = {
    "fingerprint": "0123456789abcdef",
    "person": "a.author",
    "public_key": "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29",
    "added_by": "person:ann",
    "added_at": "2026-01-01T12:00:00Z",
    "revoked_at": None,
}
SIGNED = {
    "name": "c2-beacon-containment",
    "version": 3,
    "digest": "6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
    "tests": "1f0c2b9d3e4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7e8f90123456789",
    "signatures": [
        {
            "role": "author",
            "person": "a.author",
            "fingerprint": "0123456789abcdef",
            "digest": "6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
            "signature": "00" * 64,
            "at": "2026-01-01T12:00:00Z",
        }
    ],
    "missing": [
        "nobody else than the author has signed a review (`tocsin playbook sign --as reviewer`)"
    ],
}
BUNDLE = {
    "format": "tocsin-bundle/1",
    "name": "c2-beacon-containment",
    "version": 3,
    "digest": "6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
    "source": "playbook: c2-beacon-containment\nversion: 3\n...",
    "tests": "playbook: c2-beacon-containment\ncases: ...",
    "files": {},
    "signatures": [],
    "came_from": "staging",
}
EXAMINATION = {
    "name": "c2-beacon-containment",
    "version": 3,
    "digest": "6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
    "lacking": [],
    "trial": {"cases": 10, "failed": [], "coverage": 96.4, "findings": []},
}
USAGE = [
    {
        "version": 3,
        "stage": "live",
        "retired": False,
        "takes_alerts": True,
        "open_runs": ["run_019a8c7d"],
        "live_leases": 2,
    }
]
SYNCED = {
    "steps": [
        {"verb": "publish", "what": "c2-beacon-containment version 3", "detail": "after version 2"}
    ],
    "done": True,
}
RECORDED = {
    "run_id": "run_019a8c7d",
    "playbook": "c2-beacon-containment",
    "version": 3,
    "case": {"name": "as run_019a8c7d was", "expect": {"status": "completed"}},
    "tests": "playbook: c2-beacon-containment\ncases: ...",
    "passes": True,
    "differences": [],
    "notes": [],
}
BREAKER = {
    "source": "edge-ids",
    "reason": "source edge-ids had 21 targets contained within 1:00:00, and on average 1.5 before",
    "tripped_at": "2026-01-01T12:00:00Z",
}
OWN = {
    "node": "soc-1",
    "type": "address",
    "value": "10.0.0.1",
    "why": "a default gateway",
    "seen_at": "2026-01-01T12:00:00Z",
}
ASSET = {
    "type": "host",
    "value": "dc-1",
    "kind": "domain_controller",
    "critical": True,
    "tags": ["tier-0"],
}
SOURCE = {
    "name": "edge-ids",
    "product": "suricata",
    "scheme": "standard_webhooks",
    "options": {"header": "x-tocsin-token"},
    "mapping": None,
    "correlate_by": "host",
    "correlate_within": 3600,
    "mode": "live",
    "created_at": "2026-01-01T12:00:00Z",
}
CONNECTION = {
    "name": "firewall",
    "connector": "palo_alto",
    "capability": "firewall",
    "settings": {"base_url": "https://firewall.example"},
    "secrets": ["api_key"],
    "revision": 1,
    "saved_at": "2026-01-01T12:00:00Z",
}
KEY = {
    "id": "0123456789abcdef",
    "person": "ann",
    "roles": ["analyst", "approver"],
    "groups": ["soc-leads"],
    "scopes": None,
    "created_by": "person:admin",
    "created_at": "2026-01-01T12:00:00Z",
    "expires_at": None,
    "revoked_at": None,
}
CONTACT = {
    "person": "ann",
    "email": "ann@corp.example",
    "slack_user": "U012AB3CD4",
    "saved_at": "2026-01-01T12:00:00Z",
}

DEBUGGED = {
    "id": "dbg_019a8c7d21f04b6c1e2f3a4b5c6d",
    "playbook": "c2-beacon-containment",
    "version": 3,
    "standing": "paused",
    "at": {
        "path": "contain/block",
        "kind": "use",
        "uses": "firewall.block_address",
        "effect": "contain",
        "inputs": {"address": "198.51.100.7"},
        "planned": {
            "target": "198.51.100.7",
            "summary": "Block 198.51.100.7",
            "changed": True,
            "planned_change": {},
            "verdict": "allow",
            "reasons": [],
        },
        "asked": None,
        "problem": None,
    },
    "steps": [
        {
            "path": "look/endpoint",
            "kind": "use",
            "state": "done",
            "result": {"name": "ws-042"},
            "error": None,
        }
    ],
    "breakpoints": ["contain/block"],
    "applied": [],
    "said": None,
    "result": None,
    "error": None,
}


def shown(example: Any, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """OpenAPI `responses` of one view."""
    return {status: {"content": {"application/json": {"example": example}}}}


def listed(example: Any) -> dict[int | str, dict[str, Any]]:
    """OpenAPI `responses` of a page of views."""
    return shown({"items": [example], "next": None})
