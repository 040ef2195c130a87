"""Effects in flight: a call to the vendor that another run has begun and not ended."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.domain.containment import EffectState
from orchestrator.domain.run import StepState
from orchestrator.store.queries import runs, steps
from orchestrator.store.tables import EffectRow

PATIENCE = timedelta(minutes=11)
"""How long one try may take, and a little more; after it, its worker is considered dead."""


async def effect_in_flight(session: AsyncSession, effect: EffectRow, now: datetime) -> bool:
    """Return whether a run is calling the vendor for an effect, or is about to try again."""
    if effect.state is not EffectState.INTENDED or effect.intended_at <= now - PATIENCE:
        return False
    run = await runs.get(session, effect.run_id)
    if run is not None and run.ended_at is not None:
        return False
    step = await steps.get(session, effect.run_id, effect.path)
    return step is not None and step.state is StepState.INTENDED
