"""Which workflows does a worker carry out, and which pure modules do they share with it?"""

from __future__ import annotations

from orchestrator.engine.temporal.workflows.hold_containment import HoldContainment
from orchestrator.engine.temporal.workflows.roll_back import RollBack
from orchestrator.engine.temporal.workflows.run_batch import RunBatch
from orchestrator.engine.temporal.workflows.run_playbook import RunPlaybook

WORKFLOWS = (RunPlaybook, RunBatch, RollBack, HoldContainment)

# Pure modules of ours, and what they stand on: imported once rather than per workflow. Jinja imports lazily, which the sandbox breaks.
PASSED_THROUGH = (
    "orchestrator.domain",
    "orchestrator.playbook",
    "orchestrator.engine.decide.result_limits",
    "orchestrator.contracts.messages",
    "orchestrator.engine.decide.group_approval",
    "orchestrator.engine.decide.interpreter",
    "orchestrator.engine.decide.timeouts",
    "orchestrator.engine.decide.change_pipeline",
    "orchestrator.engine.decide.port",
    "orchestrator.contracts.question",
    "orchestrator.engine.decide.rollback",
    "orchestrator.engine.decide.scope",
    "orchestrator.engine.decide.event_wait",
    "orchestrator.engine.workflows",  # hold no state but in their objects
    "annotated_types",
    "jinja2",
    "markupsafe",
    "pydantic",
    "pydantic_core",
    "rfc8785",
)
