"""Activities that a worker offers, one line each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from orchestrator.engine.activities.apply import ApplyChange
from orchestrator.engine.activities.ask import AskPeople
from orchestrator.engine.activities.check_drift import DriftCheck
from orchestrator.engine.activities.handle_request import HandleRequest
from orchestrator.engine.activities.hold import HoldTarget
from orchestrator.engine.activities.plan import PlanChange
from orchestrator.engine.activities.read import ReadSystem
from orchestrator.engine.activities.record import RecordRun
from orchestrator.engine.activities.undo import UndoChange
from orchestrator.engine.activities.verify import VerifyChange
from orchestrator.requests import RequestHandler
from orchestrator.runtime import Runtime


def activities(
    rt: Runtime, handlers: Sequence[RequestHandler[Any, Any]]
) -> list[Callable[..., Any]]:
    """Return all activities, bound to this process's runtime."""
    ask, record, undo, hold = AskPeople(rt), RecordRun(rt), UndoChange(rt), HoldTarget(rt)
    return [
        ReadSystem(rt).read,
        PlanChange(rt).plan,
        ApplyChange(rt).apply,
        VerifyChange(rt).verify,
        undo.undo,
        undo.list_undoable,
        hold.hold,
        hold.list_due,
        DriftCheck(rt).check_drift,
        ask.ask,
        ask.read_decision,
        ask.close_approval,
        record.begin,
        record.record,
        record.end,
        record.list_events,
        HandleRequest(rt, handlers).handle_request,
    ]
