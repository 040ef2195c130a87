"""What an approval binds: the digest that people see and send back, and which of the changes asked about they agreed with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from orchestrator.domain.digest import digest


def approval_digest(*, run_id: str, plan_digest: str, path: str, question: str, changes: Sequence[str], form: dict[str, Any] | None) -> str:
    """The digest of a question: the run, the playbook's digest, the step, what is asked and the digests of all changes."""
    asked = {"run": run_id, "playbook": plan_digest, "path": path, "question": question, "changes": sorted(changes), "form": form}
    return digest(asked)


def agreed_changes(asked: Sequence[str], chosen: Iterable[Sequence[str] | None]) -> tuple[str, ...]:
    """The changes that everybody who approved has chosen, in the order asked; None: all of them."""
    sets = [set(choice) for choice in chosen if choice is not None]
    return tuple(change for change in asked if all(change in choice for choice in sets))
