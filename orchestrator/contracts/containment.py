"""Messages about containments."""

from __future__ import annotations

from orchestrator.contracts.run import StepRef
from orchestrator.domain.model import Frozen


class HoldRequest(Frozen):
    """Start the timer of the step's lease."""

    ref: StepRef
    seconds: int
