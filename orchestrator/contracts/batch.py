"""Messages about batches: slices of a long `for_each`, each in a history of its own."""

from __future__ import annotations

from typing import Any

from orchestrator.contracts.approval import Question
from orchestrator.contracts.run import RunInput
from orchestrator.domain.model import Frozen
from orchestrator.playbook.plan import ForEach


class BatchInput(Frozen):
    """A slice of a `for_each` and what its steps see."""

    run: RunInput
    step: ForEach
    first: int
    items: list[Any]
    names: dict[str, Any]
    steps: dict[str, Any]
    prefix: str
    question: Question | None  # of the approval that covers the group around the step
    approved: dict[str, str] = {}  # digest of an approved change -> its approval
    declined: tuple[str, ...] = ()  # digests of changes that the approvers left out
    holds: dict[str, int | None] = {}  # digest of an approved change -> its lease
    next_seq: int


class BatchReply(Frozen):
    """The outcome of each item."""

    items: list[dict[str, Any]]
    next_seq: int  # where the numbering of steps continues
