"""Check of the audit trail: whether it continues what this machine remembers."""

from __future__ import annotations

from orchestrator.cli.diagnosis.model import Diagnosis, good, wrong
from orchestrator.incidents.trail_health import trail_health
from orchestrator.runtime import Runtime


async def examine_trail(rt: Runtime) -> list[Diagnosis]:
    """Return what is wrong with the audit trail."""
    state = await trail_health(rt)
    guide = "see docs/operating.md#a-broken-audit-trail"
    found = [wrong("audit", f"audit trail: {reason}; {guide}") for reason in state.reasons]
    return found or [good("audit", "the audit trail continues what was sealed")]
