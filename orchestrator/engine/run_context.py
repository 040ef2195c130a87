"""The identity of a run, from its row."""

from __future__ import annotations

from orchestrator.contracts.run import RunContext
from orchestrator.domain.run import Mode
from orchestrator.store.tables import RunRow


def run_context(run: RunRow) -> RunContext:
    """Return the identity that every message about the run carries."""
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
