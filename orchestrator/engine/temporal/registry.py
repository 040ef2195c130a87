"""Workflows that a worker carries out, and modules that bypass the workflow sandbox."""

from __future__ import annotations

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

# Pure modules, and what they stand on: imported once instead of once per workflow.
# Jinja imports lazily, which fails inside the sandbox.
PASSED_THROUGH = (
    "orchestrator.contracts",
    "orchestrator.domain",
    "orchestrator.engine.decide",
    "orchestrator.engine.temporal",  # no module there keeps state outside of its objects
    "orchestrator.playbook",
    "annotated_types",
    "jinja2",
    "markupsafe",
    "pydantic",
    "pydantic_core",
    "re2",
    "rfc8785",
)
