"""Decisions of people in tests of whole runs."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.contracts.approval import AskRequest, Decision


def agree(request: AskRequest) -> Decision:
    return Decision(
        approval_id="",
        state="approved",
        approved_changes=tuple(change.digest for change in request.changes),
        by=("ann",),
    )


def decline(_: AskRequest) -> Decision:
    return Decision(approval_id="", state="declined", by=("ann",), comment="not today")


def agree_with(*targets: str) -> Callable[[AskRequest], Decision]:
    """Approve only the changes of these targets."""

    def answer(request: AskRequest) -> Decision:
        chosen = tuple(
            change.digest for change in request.changes if change.target.value in targets
        )
        return Decision(approval_id="", state="approved", approved_changes=chosen, by=("ann",))

    return answer
