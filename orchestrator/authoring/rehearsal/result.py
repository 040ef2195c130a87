"""The result of one test case, and where it differs from the expectation."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from orchestrator.authoring.rehearsal.state import Asked
from orchestrator.domain.run import StepState


@dataclass(frozen=True, slots=True)
class Difference:
    """`field`: of the expectation; `step`: the path of the step that it is about, if any; `wanted`, `got`: lines to be compared."""

    field: str
    said: str
    wanted: tuple[str, ...] = ()
    got: tuple[str, ...] = ()
    step: str | None = None


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What came of a case. `differences`: from what was expected; none: it is as expected. `status` None: it did not start."""

    case: str
    status: str | None
    error: str | None = None
    applied: tuple[str, ...] = ()
    undone: tuple[str, ...] = ()
    released: tuple[str, ...] = ()
    asked: tuple[Asked, ...] = ()
    took: timedelta = timedelta()
    states: dict[str, StepState] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    differences: tuple[Difference, ...] = ()

    @property
    def problems(self) -> tuple[str, ...]:
        """The differences as sentences."""
        return tuple(each.said for each in self.differences)
