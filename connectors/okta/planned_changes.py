"""Planned changes of Okta: a user's new status, and the end of a user's sessions."""

from __future__ import annotations

from typing import Literal

from orchestrator.domain.change import PlannedChange


class UserStatusChange(PlannedChange):
    """A user's status before and after the change."""

    user: str  # Okta's id
    before: str
    after: Literal["SUSPENDED", "ACTIVE"]


class SessionTermination(PlannedChange):
    """The end of a user's sessions and tokens."""

    user: str  # Okta's id
