"""What an Okta plan finds: the user as they are, and the status to give them."""

from __future__ import annotations

from typing import Literal

from orchestrator.domain.change import Receipt


class StatusReceipt(Receipt):
    """A user's status before and after; taking back is the other way round. `user`: Okta's id."""

    user: str
    before: str
    after: Literal["SUSPENDED", "ACTIVE"]


class SessionsReceipt(Receipt):
    """The user whose sessions and tokens are to end. `user`: Okta's id."""

    user: str
