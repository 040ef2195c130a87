"""Checks of the audit trail: whether it continues what this machine remembers, and its sinks."""

from __future__ import annotations

from orchestrator.audit.sinks.configure import check_sinks
from orchestrator.cli.diagnosis.model import Diagnosis, good, wrong
from orchestrator.domain.errors import Invalid
from orchestrator.incidents.trail_health import trail_health, with_guide
from orchestrator.runtime import Runtime
from orchestrator.settings import Settings


async def examine_trail(rt: Runtime) -> list[Diagnosis]:
    """Return what is wrong with the audit trail."""
    state = await trail_health(rt)
    found = [wrong("audit", f"audit trail: {with_guide(reason)}") for reason in state.reasons]
    return found or [good("audit", "the audit trail continues what was sealed")]


def examine_sinks(settings: Settings) -> list[Diagnosis]:
    """Return whether the audit sinks can be used."""
    try:
        check_sinks(settings)
    except Invalid as error:
        return [wrong("audit", str(error))]
    count = len(settings.audit_sinks)
    return [good("audit", f"{count} audit sinks are configured")] if count else []
