"""Which activities a worker offers: one explicit line each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from temporalio.client import Client

from orchestrator.engine.activities.apply import Applying
from orchestrator.engine.activities.ask import Asking
from orchestrator.engine.activities.check import Checking
from orchestrator.engine.activities.hold import Holding
from orchestrator.engine.activities.plan import Planning
from orchestrator.engine.activities.read import Reading
from orchestrator.engine.activities.record import Recording
from orchestrator.engine.activities.undo import Undoing
from orchestrator.engine.activities.verify import Verifying
from orchestrator.runtime import Runtime


def activities(rt: Runtime, client: Client) -> list[Callable[..., Any]]:
    """All activities, bound to this process's runtime."""
    asking, recording, undoing, holding = (
        Asking(rt),
        Recording(rt),
        Undoing(rt),
        Holding(rt, client),
    )
    return [
        Reading(rt).read,
        Planning(rt).plan,
        Applying(rt).apply,
        Verifying(rt).verify,
        undoing.undo,
        undoing.to_undo,
        holding.hold,
        holding.due,
        Checking(rt).check,
        asking.ask,
        asking.read_answer,
        asking.close_approval,
        recording.begin,
        recording.record,
        recording.end,
        recording.events,
    ]
