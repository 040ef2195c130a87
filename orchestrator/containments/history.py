"""Earlier containments of a target, as the step `tocsin.containment_history` reads them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from connectors.capabilities.own import ContainmentHistory, HistoryQuery
from orchestrator.contracts.change import StepCall
from orchestrator.domain.errors import Invalid, Rejected
from orchestrator.domain.observable import Target
from orchestrator.playbook.language.durations import parse_duration
from orchestrator.runtime import Runtime
from orchestrator.store.queries import effects


async def read_containment_history(rt: Runtime, call: StepCall) -> dict[str, Any]:
    """Return how often and when other runs contained a target. Raise Rejected for a wrong input."""
    try:
        query = HistoryQuery.model_validate(call.input)
        target = Target.of(query.type, query.value)
        within = timedelta(seconds=parse_duration(query.within))
    except (ValidationError, ValueError, Invalid) as error:
        reason = str(error).splitlines()[0]
        raise Rejected(f"containment_history: the input is invalid: {reason}") from None
    now = rt.clock()
    async with rt.store.read() as session:
        found = await effects.containments_of_target(
            session, target, since=now - within, without_run=call.ref.run.run_id
        )
    history = ContainmentHistory(
        count=found.runs,
        first_at=found.first.isoformat() if found.first else None,
        last_at=found.last.isoformat() if found.last else None,
        last_age=max(0, int((now - found.last).total_seconds())) if found.last else None,
        in_force=found.in_force > 0,
    )
    return history.model_dump(mode="json")
