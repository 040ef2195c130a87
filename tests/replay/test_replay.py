"""Replay: new engine code decides like the code that recorded the histories."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from orchestrator.engine.temporal.registry import WORKFLOWS, workflow_runner

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))


def test_every_workflow_has_a_history() -> None:
    started = [json.loads(path.read_text(encoding="utf-8"))["events"][0] for path in HISTORIES]
    recorded = {
        event["workflowExecutionStartedEventAttributes"]["workflowType"]["name"]
        for event in started
    }
    assert recorded == {workflow.__name__ for workflow in WORKFLOWS}, (
        "record the missing ones: python -m tests.replay.record"
    )


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_recorded_run_is_replayed(path: Path) -> None:
    replayer = Replayer(
        workflows=list(WORKFLOWS),
        data_converter=pydantic_data_converter,
        workflow_runner=workflow_runner(),
    )
    await replayer.replay_workflow(
        WorkflowHistory.from_json("run-run_1-1", path.read_text(encoding="utf-8"))
    )


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
def test_history_names_nothing_of_the_machine_that_recorded_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "site-packages" not in text
    assert "@" not in text.replace("@type", "")
