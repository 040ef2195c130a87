"""Messages about containments: when a lease ends, and what is due now."""

from __future__ import annotations

from pydantic import AwareDatetime

from orchestrator.contracts.change import UndoRequest
from orchestrator.contracts.run import StepRef
from orchestrator.domain.model import Frozen


class HoldRequest(Frozen):
    """Watch a containment, and start the timer of the step's lease."""

    ref: StepRef
    containment_key: str
    seconds: int | None  # None: the lease has no end


class HoldInput(Frozen):
    """The containment that a workflow watches."""

    containment_key: str
    checked_at: AwareDatetime | None = None  # when the device was last read, whatever the outcome


class DueReply(Frozen):
    """What a containment needs now."""

    ended: tuple[UndoRequest, ...] = ()
    check: bool = False  # read the device back
    wake_at: AwareDatetime | None = None  # when to look again; None: never
    live: int = 0
