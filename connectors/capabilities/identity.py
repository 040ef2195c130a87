"""Identity providers: find and suspend users, and end their sessions."""

from typing import Literal

from connectors.sdk.capability import ActionSpec, Capability, Input, Output
from orchestrator.domain.change import Effect
from orchestrator.domain.observable import User


class UserInput(Input):
    """A user, by login."""

    user: User


class UserDetails(Output):
    """A user as the identity provider knows them."""

    id: str
    login: str
    name: str | None = None
    status: Literal["active", "suspended", "locked", "inactive"]
    groups: tuple[str, ...] = ()
    last_login: str | None = None
    """ISO 8601, UTC."""


class Identity(Capability):
    """A system that manages users and their sessions."""

    capability = "identity"
    default_connection = "identity"
    actions = (
        ActionSpec(
            name="find_user",
            effect=Effect.READ,
            input=UserInput,
            output=UserDetails,
            summary="Look up a user.",
        ),
        ActionSpec(
            name="suspend_user",
            effect=Effect.CONTAIN,
            input=UserInput,
            summary="Prevent a user from signing in.",
        ),
        ActionSpec(
            name="unsuspend_user",
            effect=Effect.RESTORE,
            input=UserInput,
            summary="Allow a suspended user to sign in again.",
            restores="suspend_user",
        ),
        ActionSpec(
            name="end_sessions",
            effect=Effect.DESTROY,
            input=UserInput,
            summary="End all sessions and tokens of a user; cannot be undone.",
        ),
    )
