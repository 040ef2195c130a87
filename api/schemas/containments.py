"""How does a containment look?"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from api.schemas.written import example

ContainmentState = Literal["held", "lifting", "lifted", "stuck"]


class Lease(BaseModel):
    """One run's hold on a containment."""

    id: str
    run_id: str
    path: str
    state: Literal["live", "ended"]
    until: datetime | None
    reason: str | None
    created_at: datetime
    ended_at: datetime | None


class TargetView(BaseModel):
    """What is contained."""

    type: str
    value: str


class Containment(BaseModel):
    """Something contained, by whom, since when and until when. `ours`: whether we changed the device, so that lifting is ours too."""

    model_config = example(
        {
            "key": "6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d",
            "connection": "firewall",
            "action": "block_address",
            "target": {"type": "address", "value": "198.51.100.7"},
            "state": "held",
            "ours": True,
            "since": "2026-01-01T12:00:02Z",
            "lifted_at": None,
            "verified_at": "2026-01-01T12:00:02Z",
            "error": None,
            "leases": [
                {
                    "id": "run_019a8c7d21f04b6c1e2f3a4b5c6d:contain/block",
                    "run_id": "run_019a8c7d21f04b6c1e2f3a4b5c6d",
                    "path": "contain/block",
                    "state": "live",
                    "until": "2026-01-02T12:00:02Z",
                    "reason": None,
                    "created_at": "2026-01-01T12:00:01Z",
                    "ended_at": None,
                }
            ],
        }
    )

    key: str
    connection: str
    action: str
    target: TargetView
    state: ContainmentState
    ours: bool
    since: datetime
    lifted_at: datetime | None
    verified_at: datetime | None
    error: str | None
    leases: list[Lease]
