"""Identity providers: suspend a user, end their sessions."""

from typing import Literal

from connectors.sdk.capability import ActionSpec, Capability, Input, Output
from orchestrator.domain.change import Effect
from orchestrator.domain.observable import User


class UserInput(Input):
    """A user, by login."""

    user: User


class UserDetails(Output):
    """What the identity provider knows of a user. `last_login`: ISO 8601, UTC."""

    id: str
    login: str
    name: str | None = None
    status: Literal["active", "suspended", "locked", "inactive"]
    groups: tuple[str, ...] = ()
    last_login: str | None = None


class Identity(Capability):
    """A system that knows users and their sessions."""

    capability = "identity"
    usual_connection = "identity"
    actions = (
        ActionSpec(
            name="find_user",
            effect=Effect.READ,
            input=UserInput,
            output=UserDetails,
            summary="Look a user up.",
        ),
        ActionSpec(
            name="suspend_user",
            effect=Effect.CONTAIN,
            input=UserInput,
            summary="Keep a user from signing in.",
        ),
        ActionSpec(
            name="unsuspend_user",
            effect=Effect.RESTORE,
            input=UserInput,
            summary="Let a suspended user sign in again.",
        ),
        ActionSpec(
            name="end_sessions",
            effect=Effect.DESTROY,
            input=UserInput,
            summary="End all sessions and tokens of a user; cannot be taken back.",
        ),
    )
