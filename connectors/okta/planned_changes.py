"""What an Okta plan finds: the user as they are, and the status to give them."""

from __future__ import annotations

from typing import Literal

from orchestrator.domain.change import PlannedChange


class PlannedStatus(PlannedChange):
    """A user's status before and after; taking back is the other way round. `user`: Okta's id."""

    user: str
    before: str
    after: Literal["SUSPENDED", "ACTIVE"]


class PlannedSessions(PlannedChange):
    """The user whose sessions and tokens are to end. `user`: Okta's id."""

    user: str
