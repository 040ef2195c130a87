"""Which workflows does a worker carry out, and which pure modules do they share with it?"""

from __future__ import annotations

from orchestrator.engine.workflows.hold_containment import HoldContainment
from orchestrator.engine.workflows.roll_back import RollBack
from orchestrator.engine.workflows.run_batch import RunBatch
from orchestrator.engine.workflows.run_playbook import RunPlaybook

WORKFLOWS = (RunPlaybook, RunBatch, RollBack, HoldContainment)

# Pure modules of ours, and what they stand on: imported once rather than per workflow. Jinja imports lazily, which the sandbox breaks.
PASSED_THROUGH = (
    "orchestrator.domain",
    "orchestrator.playbook",
    "orchestrator.engine.bounded",
    "orchestrator.engine.contracts",
    "orchestrator.engine.group",
    "orchestrator.engine.interpreter",
    "orchestrator.engine.limit",
    "orchestrator.engine.pipeline",
    "orchestrator.engine.port",
    "orchestrator.engine.question",
    "orchestrator.engine.rollback",
    "orchestrator.engine.scope",
    "orchestrator.engine.waiting",
    "orchestrator.engine.workflows",  # hold no state but in their objects
    "annotated_types",
    "jinja2",
    "markupsafe",
    "pydantic",
    "pydantic_core",
    "rfc8785",
)
