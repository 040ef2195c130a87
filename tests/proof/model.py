"""The model: which target should be in force, from the actions of people and reports of runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.proof.edge import addresses
from tests.proof.playbooks import Variant

INEXACT = timedelta(minutes=2)
"""Time that may pass on the server between two calls, so that a lease may have ended or not."""


class LawBroken(AssertionError):
    """A law is broken."""


@dataclass
class ExpectedLease:
    """A step's lease as seen from outside. It ends between `earliest` and `latest` (None: never)."""

    run: str
    earliest: datetime | None
    latest: datetime | None
    over: bool = False
    doubtful: bool = False  # changed before it was known: it may be over or not
    failed: bool = False  # not verified: the change may still take effect, and is released too
    unsure: bool = False  # a person has just changed it, and the outcome is not known yet
    contested: bool = False  # a restore is under way, and may end it

    def is_live(self, now: datetime) -> bool:
        """Return whether it certainly lives."""
        return not (self.over or self.unsure or self.failed or self.contested) and (
            self.earliest is None or now < self.earliest - INEXACT
        )

    def has_ended(self, now: datetime) -> bool:
        """Return whether it has certainly ended."""
        return self.over or (
            not self.unsure and not self.contested and self.latest is not None and now > self.latest
        )

    def set_end(self, earliest: datetime, latest: datetime) -> None:
        self.earliest, self.latest = earliest, latest
        self.doubtful = False


@dataclass
class ProofTarget:
    """A target and the leases on it."""

    name: str
    system: str
    by_hand: bool = False  # in force before Tocsin, which must not touch it
    forgot: datetime | None = None  # when the device lost it last
    uncertain: bool = False  # a restore of it failed half way: nothing is known of it any more
    holds: dict[str, ExpectedLease] = field(default_factory=dict)  # by run

    def is_held(self, now: datetime) -> bool:
        return any(hold.is_live(now) for hold in self.holds.values())

    def covers(self, other: ProofTarget) -> bool:
        """Return whether a restore of this target lifts the other's containment."""
        if self.system != "edge" or other.system != "edge":
            return self is other
        return addresses(other.name) <= addresses(self.name)

    def overlaps(self, other: ProofTarget) -> bool:
        """Return whether both cover an address."""
        return other.covers(self) or self.covers(other)

    def is_free(self, now: datetime) -> bool:
        return all(hold.has_ended(now) for hold in self.holds.values())


@dataclass
class ProofRun:
    """A run that was started."""

    id: str
    way: Variant
    paths: dict[str, str]  # step -> target that it contains
    started: datetime
    troubled: bool  # it may fail: a fault, a kill switch, the policy
    cancelled: bool = False
    status: str = "running"
    seen: set[str] = field(default_factory=set)  # paths that are known to have applied
    judged: bool = False  # a restore whose outcome is in the model
    ends: list[ExpectedLease] = field(default_factory=list)  # by a restore, if it succeeds
    # Targets whose leases people released or changed before this run was known to hold them.
    touched: set[str] = field(default_factory=set)

    @property
    def open(self) -> bool:
        return self.status in {"running", "waiting", "deferred"}

    def hold(self, now: datetime) -> ExpectedLease:
        """Return the lease of a step that has just applied."""
        length = self.way.length
        return (
            ExpectedLease(self.id, None, None)
            if length is None
            else ExpectedLease(self.id, self.started + length, now + length)
        )


@dataclass
class ProofModel:
    """The model of one sequence."""

    targets: dict[str, ProofTarget]
    runs: dict[str, ProofRun] = field(default_factory=dict)
    calm: bool = True  # no crash, no fault, no drift so far
    killed: bool = False
    policy: str = "allow"
    reapplies: bool = False
    halted: bool = False  # nothing may be applied, since everything was last quiet
    asked_ever: bool = False  # whether the policy ever asked for approvals
    restored: bool = False  # a restore was started
    certain: bool = True  # no call was lost, and no system lied
    ever: set[str] = field(default_factory=set)  # addresses that were ever blocked on the edge
    lost: bool = False  # the edge firewall lost elements
    away: str | None = None  # the system that answers no plan now
    was_away: bool = False  # one did so
    asks: bool = False  # the policy asks for approvals, since everything was last quiet

    @property
    def stopped(self) -> bool:
        return self.killed or self.policy == "deny"

    def mark_quiet(self) -> None:
        """Enforce the policy and the switches from now on: nothing older is still under way."""
        self.halted, self.asks = self.stopped, self.policy == "ask"

    def relax(self) -> None:
        """Stop enforcing what is no longer in force."""
        self.halted, self.asks = self.halted and self.stopped, self.asks and self.policy == "ask"

    @property
    def hinders(self) -> bool:
        """Whether a run that starts now may fail."""
        return not self.calm or self.stopped or self.policy == "ask" or self.away is not None

    def is_delayed(self, run: ProofRun) -> bool:
        """Return whether a run may have to wait for a system that is away."""
        return any(self.targets[name].system == self.away for name in run.paths.values())

    def holds_of(self, run: str) -> list[ExpectedLease]:
        return [
            hold
            for target in self.targets.values()
            for hold in target.holds.values()
            if hold.run == run
        ]

    def touch(self, target: str) -> None:
        """Note that people change all leases there, including leases that are not known yet."""
        for run in self.runs.values():
            if target in run.paths.values() and run.id not in self.targets[target].holds:
                run.touched.add(target)

    def is_awaited(self, target: str) -> bool:
        """Return whether an open run holds the target, or may."""
        return any(run.open and target in run.paths.values() for run in self.runs.values())

    def is_restoring(self, target: ProofTarget) -> bool:
        """Return whether a run that restores the target is open, or was rolled back."""
        return target.uncertain or any(
            run.way.restores
            and run.status != "completed"
            and any(self.targets[name].overlaps(target) for name in run.paths.values())
            for run in self.runs.values()
        )
