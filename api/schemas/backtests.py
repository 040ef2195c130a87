"""Request bodies of backtests."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field, StringConstraints

from api.schemas.authoring import PublishedVersion
from api.schemas.request_model import Document, RequestModel, example
from orchestrator.authoring.backtest.read_resolver import ReadFallback
from orchestrator.authoring.backtest.replay import MOST_ALERTS
from orchestrator.authoring.backtest.service import BacktestPlaybook, BacktestRequest
from orchestrator.playbook.language.durations import parse_duration


class DraftWithTests(RequestModel):
    """A text that need not be published."""

    text: Document
    tests: Annotated[
        Document | None, Field(description="Its tests.yaml, whose stubs `reads: stub` uses.")
    ] = None


class RunBacktest(RequestModel):
    """A playbook, the alerts to replay, and what answers reads without a record."""

    model_config = example(
        {
            "playbook": {"name": "brute-force-block", "version": 2},
            "since": "30d",
            "reads": "unknown",
        }
    )

    playbook: DraftWithTests | PublishedVersion
    since: Annotated[
        str,
        StringConstraints(min_length=2, max_length=20),
        Field(description="How far back, such as 30d."),
    ] = "30d"
    source: Annotated[
        str | None,
        Field(max_length=64, description="Only alerts of this source."),
    ] = None
    limit: Annotated[
        int, Field(ge=1, le=MOST_ALERTS, description="Replay at most the newest so many.")
    ] = 1000
    reads: Annotated[
        ReadFallback,
        Field(description="What answers a read without a record; `live` reads from real systems."),
    ] = ReadFallback.RECORDED
    policy: Annotated[
        Document | None, Field(description="A policy to evaluate with; default: that in force.")
    ] = None

    def to_playbook(self) -> BacktestPlaybook:
        """Return the playbook to replay."""
        if isinstance(self.playbook, DraftWithTests):
            return BacktestPlaybook(text=self.playbook.text, tests=self.playbook.tests)
        return BacktestPlaybook(name=self.playbook.name, version=self.playbook.version)

    def to_request(self) -> BacktestRequest:
        """Return the alerts to replay, and how. Raises Invalid for a malformed duration."""
        return BacktestRequest(
            since=timedelta(seconds=parse_duration(self.since)),
            source=self.source,
            limit=self.limit,
            reads=self.reads,
            policy=self.policy,
        )
