"""Decisions of people in tests of whole runs."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.contracts.approval import AskedChange, AskRequest, Decision
from orchestrator.domain.change import Change, PolicyVerdict, Verdict


def agree(request: AskRequest) -> Decision:
    return Decision(
        approval_id="",
        state="approved",
        approved_changes=tuple(asked.change.digest for asked in request.changes),
        by=("ann",),
    )


def decline(_: AskRequest) -> Decision:
    return Decision(approval_id="", state="declined", by=("ann",), comment="not today")


def agree_with(*targets: str) -> Callable[[AskRequest], Decision]:
    """Approve only the changes of these targets."""

    def answer(request: AskRequest) -> Decision:
        chosen = tuple(
            asked.change.digest for asked in request.changes if asked.change.target.value in targets
        )
        return Decision(approval_id="", state="approved", approved_changes=chosen, by=("ann",))

    return answer


def asked_change(change: Change, hold_seconds: int | None = None) -> AskedChange:
    """A change as people are asked about it, where the playbook asks and the policy allows."""
    verdict = PolicyVerdict(
        outcome=Verdict.ALLOW, reasons=("nothing forbids it",), policy_version=1, policy_digest="p"
    )
    return AskedChange(change=change, hold_seconds=hold_seconds, verdict=verdict)
