"""What a plan asks people: approvals of exact changes, forms, and the evidence next to both."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from orchestrator.domain.masking import is_secret_name
from orchestrator.domain.model import Frozen

Condition = str  # a bare expression that yields a bool
Value = Any  # JSON, strings of which may hold `${{ }}`
Seconds = Annotated[int, Field(ge=0)]


class EvidenceItem(Frozen):
    """A row of the table that people see with a question."""

    label: str
    value: Value


class Approve(Frozen):
    """An approval of the exact changes of a step, required before any of them is applied."""

    when: Condition | None = None  # None: always
    question: str | None = None  # may use `changes`; None: made from the planned changes
    evidence: tuple[EvidenceItem, ...] = ()
    by: str | None = None  # a group; None: anyone with the permission
    quorum: Annotated[int, Field(ge=1, le=10)] = 1
    within: Seconds = 900
    otherwise: Literal["stop", "escalate"] = "stop"
    escalate_to: tuple[str, ...] = ()  # groups asked in turn, each for `within`


class FormField(Frozen):
    """One field of the form of an `ask`."""

    type: Literal["text", "secret", "boolean", "integer", "choice"]
    label: str
    required: bool = True
    choices: tuple[str, ...] = ()

    def is_secret(self, name: str) -> bool:
        """Return whether the answer is a secret: by its type, or a text that is named like one."""
        return self.type == "secret" or (self.type == "text" and is_secret_name(name))
