"""The policy's verdict on one change."""

from __future__ import annotations

from enum import StrEnum

from orchestrator.domain.model import Frozen


class Verdict(StrEnum):
    """What the policy says of a change."""

    ALLOW = "allow"
    APPROVE = "approve"
    DENY = "deny"


class Judgement(Frozen):
    """The policy's verdict, why, and which policy said so. `rule`: the one that decided; None: a protection or a kill switch did."""

    verdict: Verdict
    reasons: tuple[str, ...]
    policy_version: int
    policy_digest: str
    by: str | None = None
    quorum: int = 1
    rule: str | None = None
