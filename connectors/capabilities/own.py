"""Tocsin itself: what a playbook can read of earlier runs. No vendor serves it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from connectors.sdk.capability import ActionSpec, Capability, Input, Output
from orchestrator.domain.change import Effect
from orchestrator.domain.observable import ObservableType


class HistoryQuery(Input):
    """A target, and how far to look back."""

    type: ObservableType
    value: Annotated[str, Field(min_length=1, max_length=2_048)]
    within: Annotated[str, Field(description="A duration, such as 30d.", max_length=40)] = "30d"


class ContainmentHistory(Output):
    """How often and when earlier runs contained a target."""

    count: Annotated[int, Field(ge=0)] = 0
    """The number of other runs that contained it."""
    first_at: str | None = None
    """ISO 8601, UTC."""
    last_at: str | None = None
    """ISO 8601, UTC."""
    last_age: Annotated[int, Field(ge=0)] | None = None
    """Seconds since `last_at`."""
    in_force: bool = False
    """Whether one of these containments is, or may be, in force."""


class Own(Capability):
    """Tocsin itself."""

    capability = "tocsin"
    default_connection = "tocsin"
    actions = (
        ActionSpec(
            name="containment_history",
            effect=Effect.READ,
            input=HistoryQuery,
            output=ContainmentHistory,
            summary="How often and when earlier runs contained a target.",
        ),
    )
