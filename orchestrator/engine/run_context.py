"""Which run is this about? From its row, for whatever a workflow or an activity does in its name."""

from __future__ import annotations

from orchestrator.contracts.messages import RunContext
from orchestrator.domain.run import Mode
from orchestrator.store.tables import RunRow


def context_of(run: RunRow) -> RunContext:
    """The run as it lies in the store."""
    return RunContext(
        run_id=run.id,
        attempt=run.attempt,
        playbook=run.playbook,
        version=run.version,
        plan_digest=run.plan_digest,
        mode=Mode(run.mode),
        source=run.source,
        severity=run.severity,
        started_by=run.started_by,
        incident_id=run.incident_id,
    )
