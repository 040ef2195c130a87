"""May what nobody holds any more be lifted at this moment, or has that to wait?"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.domain.errors import Unavailable
from orchestrator.policy.load_inputs import releases_stopped
from orchestrator.store.tables import ContainmentRow, EffectRow

MENDING = "mending"
"""The `drift` of a containment that is being put on the device again; until its `retry_at`, after which its worker is taken for dead."""
LIFTING_TIME = timedelta(minutes=2)
"""So long somebody who lifts a containment is left alone, and is taken for dead after it."""
_STOPPED_WAIT = timedelta(seconds=5)
_BUSY_WAIT = timedelta(seconds=1)


async def put_off(
    session: AsyncSession, effect: EffectRow, held: ContainmentRow | None, now: datetime
) -> Unavailable | None:
    """Why it has to wait, and for how long; None: it may. `held`: locked; None for a change that no lease holds."""
    stopped = await releases_stopped(
        session,
        connection=effect.connection,
        connector=effect.connector,
        playbook=effect.playbook,
        source=effect.source,
    )
    if stopped:  # by a kill switch that was told to stop releases too
        return Unavailable(stopped, _STOPPED_WAIT)
    busy = _busy(held, now) if held else None
    return Unavailable(busy, _BUSY_WAIT) if busy else None


def _busy(held: ContainmentRow, now: datetime) -> str | None:
    """Lifted before it is put on the device again, it would be in force with nobody to lift it; lifted twice, what is contained anew."""
    target = f"{held.target_type} {held.target_value}"
    if held.drift == MENDING and held.retry_at is not None and held.retry_at > now:
        return f"{target} is being put in force again; it is lifted after that"
    if held.state == "lifting" and held.lifting_until is not None and held.lifting_until > now:
        return f"{target} is being lifted"
    return None
