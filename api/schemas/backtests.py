"""What is asked of a backtest, and what is answered?"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from api.schemas.authoring import Published
from api.schemas.request_model import Document, Written, example
from orchestrator.authoring.backtest.read_resolver import Reads
from orchestrator.authoring.backtest.replay import MOST_ALERTS

BACKTEST: dict[str, Any] = {
    "playbook": "brute-force-block",
    "draft": "brute-force-block@2",
    "plan_digest": "6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
    "policy": "7a1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
    "since": "2026-01-01T00:00:00Z",
    "until": "2026-01-31T00:00:00Z",
    "source": None,
    "alerts": 120,
    "more_alerts": False,
    "started_then": 100,
    "started_now": 100,
    "same": 119,
    "reads": {"recorded": 100, "live": 0, "stub": 0, "unknown": 0},
    "groups": [
        {
            "difference": "contained more",
            "count": 1,
            "examples": [
                {
                    "about": {
                        "alert_id": "alert_1",
                        "title": "Password guessing",
                        "received_at": "2026-01-02T03:04:05+00:00",
                    },
                    "what": ["firewall.block_address 198.51.100.7"],
                }
            ],
        }
    ],
    "days": [
        {
            "day": "2026-01-02",
            "alerts": 4,
            "contained_then": 1,
            "contained_now": 2,
            "asked_then": 0,
            "asked_now": 0,
        }
    ],
}


class BacktestDraft(Written):
    """A text that need not be published; `tests`: its tests.yaml, whose stubs `reads: stub` takes."""

    text: Document
    tests: Document | None = None


class BacktestWish(Written):
    """Which draft, over which alerts, and what stands for what was not recorded."""

    model_config = example(
        {
            "playbook": {"name": "brute-force-block", "version": 2},
            "since": "30d",
            "reads": "unknown",
        }
    )

    playbook: BacktestDraft | Published
    since: Annotated[
        str,
        StringConstraints(min_length=2, max_length=20),
        Field(description="How far back, such as 30d."),
    ] = "30d"
    source: Annotated[
        str | None,
        Field(max_length=64, description="Only this source's alerts, as if no others had come."),
    ] = None
    limit: Annotated[
        int, Field(ge=1, le=MOST_ALERTS, description="At most so many alerts, the newest.")
    ] = 1000
    reads: Annotated[
        Reads,
        Field(
            description="What answers a read that was not recorded; `live` asks the real systems."
        ),
    ] = Reads.RECORDED
    policy: Annotated[
        Document | None, Field(description="Judge by this policy; else by the one in force.")
    ] = None
