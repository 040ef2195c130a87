"""Workflows that a worker carries out, and what runs them."""

from __future__ import annotations

from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowRunner

from orchestrator.engine.temporal.workflows.answer_request import AnswerRequest
from orchestrator.engine.temporal.workflows.attend_containment import (
    CheckContainment,
    EndLeases,
)
from orchestrator.engine.temporal.workflows.roll_back import RollBack
from orchestrator.engine.temporal.workflows.run_batch import RunBatch
from orchestrator.engine.temporal.workflows.run_playbook import RunPlaybook

WORKFLOWS = (
    RunPlaybook,
    RunBatch,
    RollBack,
    EndLeases,
    CheckContainment,
    AnswerRequest,
)


def workflow_runner() -> WorkflowRunner:
    """Return what runs workflows: without Temporal's sandbox, which every activation pays for.

    In its place, `tests/architecture/determinism.py` checks everything that workflows import.
    """
    return UnsandboxedWorkflowRunner()
