"""Tables of effects, containments and leases."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, Text
from sqlmodel import Field, SQLModel

from orchestrator.domain.containment import (
    ContainmentState,
    DriftState,
    EffectState,
    LeaseEndReason,
    LeaseState,
)
from orchestrator.domain.observable import Extent, ObservableType, Target
from orchestrator.store.tables.columns import UtcDateTime, enum_column, partial


class EffectRow(SQLModel, table=True):
    """A change that may be in the world; written before the vendor is called."""

    __tablename__ = "effects"
    __table_args__ = (
        Index("ix_effects_run", "run_id", "seq"),
        Index("ix_effects_containment", "containment_key"),
        Index("ix_effects_source", "source", "intended_at"),
        Index("ix_effects_target", "target_value", "intended_at"),
        Index("ix_effects_type", "target_type", "intended_at"),
        Index("ix_effects_approval", "approval_id", **partial("approval_id IS NOT NULL")),
        Index("ix_effects_extent", "connection", "extent_first"),
    )
    id: str = Field(primary_key=True)  # run, path, attempt
    run_id: str
    path: str
    seq: int
    playbook: str
    source: str | None = None
    connection: str
    connector: str
    action: str
    effect: str
    target_type: str
    target_value: str
    # What the target covers, see `Extent`.
    extent_first: str = ""
    extent_last: str = ""
    containment_key: str
    change: dict[str, Any] = Field(sa_type=JSON)
    change_digest: str
    output: dict[str, Any] | None = Field(sa_type=JSON, default=None)
    state: EffectState = Field(sa_type=enum_column(EffectState))
    approval_id: str | None = None
    intended_at: datetime = Field(sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    # The effect of the `restore` step that undid it; None: its own undo did.
    undone_by: str | None = None

    @property
    def extent(self) -> Extent:
        """What its target covers."""
        return Extent(first=self.extent_first, last=self.extent_last)


class ContainmentRow(SQLModel, table=True):
    """A containment that runs share. Locking its row serializes everything done to its target."""

    __tablename__ = "containments"
    __table_args__ = (
        Index("ix_containments_extent", "connection", "extent_first"),
        Index("ix_containments_retry", "retry_at"),
        Index("ix_containments_check", "checked_at", **partial("state = 'held'")),
    )
    key: str = Field(primary_key=True)
    connection: str = Field(index=True)
    action: str
    target_type: str
    target_value: str = Field(index=True)
    # What the target covers, see `Extent`.
    extent_first: str = ""
    extent_last: str = ""
    state: ContainmentState = Field(sa_type=enum_column(ContainmentState))
    # Whether Tocsin changed the device, so that lifting it is Tocsin's task too.
    ours: bool = False
    # Whether the device showed it, or may have, since it is held. What never was is not listed.
    was_in_force: bool = False
    # The effect that made it, or that covers it on behalf of another containment.
    effect_id: str | None = None
    since: datetime = Field(sa_type=UtcDateTime, index=True)
    lifted_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    # When the device last showed it.
    verified_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    # When the device was last read, or was to be, whatever it showed. None: it is not to be read.
    checked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    error: str | None = Field(default=None, sa_type=Text)
    drift: DriftState | None = Field(default=None, sa_type=enum_column(DriftState))
    # How many releases in a row the system refused.
    failures: int = 0
    # How often a system that is away has kept its release from an end.
    tries: int = 0
    # When its release is tried again. Set while no lease holds it and it is not lifted.
    retry_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    # The drift check that applies it again has the device to itself until then.
    reapplying_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    escalated_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    # The release that runs now has the device to itself until then.
    lifting_until: datetime | None = Field(default=None, sa_type=UtcDateTime)

    @property
    def target(self) -> str:
        """Type and value of the target, for people."""
        return f"{self.target_type} {self.target_value}"

    @property
    def extent(self) -> Extent:
        """What its target covers."""
        return Extent(first=self.extent_first, last=self.extent_last)

    @property
    def as_target(self) -> Target:
        """Its target."""
        return Target(type=ObservableType(self.target_type), value=self.target_value)

    def is_being_lifted(self, now: datetime) -> bool:
        """Whether a release, or a restore, has the device to itself now."""
        return self.lifting_until is not None and self.lifting_until > now

    def hold(self) -> None:
        """Hold it for a new lease. Raise Conflict while it is lifted.

        One that was lifted starts over without an effect; one that is stuck keeps its own.
        """
        if self.state == ContainmentState.LIFTED:
            self.ours = False
            self.effect_id = None
            self.was_in_force = False
            self.checked_at = None
        self.retry_at = None
        self.tries = 0
        self.state = self.state.become(ContainmentState.HELD)
        self.error = None

    def enter_force(self, now: datetime) -> None:
        """Record that the device shows it, or may from now on."""
        if not self.was_in_force:
            self.was_in_force = True
            self.since = now
            self.lifted_at = None
            self.verified_at = None
            self.checked_at = now

    def take_ownership(self, effect_id: str, now: datetime) -> None:
        """Record the effect that makes it, before the vendor is called, or that covers it."""
        self.enter_force(now)
        self.ours = True
        self.effect_id = effect_id

    def give_up_ownership(self) -> None:
        """Record that its effect changed nothing."""
        self.ours = False
        self.effect_id = None

    def begin_lifting(self, until: datetime) -> None:
        """Start a release that has the device to itself until a moment."""
        self.state = self.state.become(ContainmentState.LIFTING)
        self.error = None
        self.retry_at = until  # by then its worker is considered dead
        self.lifting_until = until

    def mark_lifted(self, now: datetime) -> None:
        """Record that it is no longer in force, and clear everything about its release.

        What never was in force keeps the time when it was lifted before, if it was.
        """
        self.state = self.state.become(ContainmentState.LIFTED)
        if self.was_in_force:
            self.lifted_at = now
        self.ours = False
        self.error = None
        self.drift = None
        self.failures = 0
        self.tries = 0
        self.retry_at = None
        self.reapplying_until = None
        self.escalated_at = None
        self.lifting_until = None

    def mark_stuck(self, error: str) -> None:
        """Record that the system refused the undo once more."""
        self.state = self.state.become(ContainmentState.STUCK)
        self.error = error
        self.failures += 1
        self.lifting_until = None

    def begin_reapplying(self, until: datetime) -> None:
        """Start applying it again on a device that lost it; releases wait until a moment."""
        self.drift = DriftState.REAPPLYING
        self.reapplying_until = until

    def mark_gone(self) -> None:
        """Record that the device does not show it and that it was not applied again."""
        self.drift = DriftState.GONE
        self.reapplying_until = None

    def clear_drift(self) -> None:
        """Record that the device shows it again."""
        self.drift = None
        self.reapplying_until = None

    def mark_verified(self, now: datetime) -> None:
        """Record that the device shows it."""
        self.verified_at = self.checked_at = now


class LeaseRow(SQLModel, table=True):
    """One run's claim on a containment."""

    __tablename__ = "leases"
    __table_args__ = (Index("ix_leases_due", "until", **partial("state = 'live'")),)
    id: str = Field(primary_key=True)  # run, path
    containment_key: str = Field(index=True)
    run_id: str = Field(index=True)
    path: str
    # None: until it is released by hand or rolled back.
    until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    state: LeaseState = Field(default=LeaseState.LIVE, sa_type=enum_column(LeaseState))
    # Why and by whom it ended, or ends at `until`. None: it expires.
    end_reason: LeaseEndReason | None = Field(default=None, sa_type=enum_column(LeaseEndReason))
    ended_by: str | None = None  # as in the audit trail: `person:ann`, `run:run_1`, `system`
    # The effect of the `restore` step that ended it.
    restored_by: str | None = None
    created_at: datetime = Field(sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)

    def is_live_at(self, now: datetime) -> bool:
        """Whether it lives and its end has not come."""
        return self.state is LeaseState.LIVE and (self.until is None or self.until > now)
