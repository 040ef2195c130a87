"""Which activities a worker offers: one explicit line each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from temporalio.client import Client

from orchestrator.engine.activities.applying import Applying
from orchestrator.engine.activities.asking import Asking
from orchestrator.engine.activities.drift import Checking
from orchestrator.engine.activities.holding import Holding
from orchestrator.engine.activities.planning import Planning
from orchestrator.engine.activities.reading import Reading
from orchestrator.engine.activities.recording import Recording
from orchestrator.engine.activities.undoing import Undoing
from orchestrator.engine.activities.verifying import Verifying
from orchestrator.runtime import Runtime


def activities(rt: Runtime, client: Client) -> list[Callable[..., Any]]:
    """All activities, bound to this process's runtime."""
    asking, recording, undoing, holding = Asking(rt), Recording(rt), Undoing(rt), Holding(rt, client)
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
