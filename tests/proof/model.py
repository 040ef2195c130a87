"""What should be in force? A small model of who holds what until when; it knows only what people did and how runs say that they went."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.proof.playbooks import Way

INEXACT = timedelta(minutes=2)
"""Between two calls of ours so much time may pass on the server that a lease may have ended or not."""


class Broken(AssertionError):
    """A law was broken."""


@dataclass
class Hold:
    """One step's hold on a target, as seen from outside: it ends at some moment between `earliest` and `latest` (None: never)."""

    run: str
    earliest: datetime | None
    latest: datetime | None
    over: bool = False
    doubtful: bool = False  # it was touched before it was seen, and may be over or not
    failed: bool = False  # the device was told, but shows nothing: it may yet come to, and is let go in the same way
    unsure: bool = (
        False  # a person has just done something about it, and what came of that is not known yet
    )

    def lives(self, now: datetime) -> bool:
        """For certain."""
        return not (self.over or self.unsure or self.failed) and (
            self.earliest is None or now < self.earliest - INEXACT
        )

    def ended(self, now: datetime) -> bool:
        """For certain."""
        return self.over or (not self.unsure and self.latest is not None and now > self.latest)

    def set_end(self, end: datetime) -> None:
        self.earliest = self.latest = end
        self.doubtful = False


@dataclass
class Target:
    """`by_hand`: it was in force before us, and is to be left alone. `forgot`: when the device lost it last."""

    name: str
    system: str
    by_hand: bool = False
    forgot: datetime | None = None
    holds: dict[str, Hold] = field(default_factory=dict)  # by run

    def held(self, now: datetime) -> bool:
        return any(hold.lives(now) for hold in self.holds.values())

    def free(self, now: datetime) -> bool:
        return all(hold.ended(now) for hold in self.holds.values())


@dataclass
class Run:
    """A run that was started; `paths`: which step contains which target."""

    id: str
    way: Way
    paths: dict[str, str]
    started: datetime
    troubled: bool  # something stood in its way: a fault, a kill switch, the policy
    cancelled: bool = False
    status: str = "running"
    seen: set[str] = field(default_factory=set)  # paths that came through
    touched: set[str] = field(
        default_factory=set
    )  # targets of which people released or changed all leases before it was seen to hold them

    @property
    def open(self) -> bool:
        return self.status in {"running", "waiting"}

    def hold(self, now: datetime) -> Hold:
        """Of a step that has come through by now."""
        length = self.way.length
        return (
            Hold(self.id, None, None)
            if length is None
            else Hold(self.id, self.started + length, now + length)
        )


@dataclass
class Model:
    """All of a sequence. `halted`: nothing new may be applied since the last time that all was quiet."""

    targets: dict[str, Target]
    runs: dict[str, Run] = field(default_factory=dict)
    calm: bool = True  # nothing was broken so far: no crash, no fault, no device that forgets
    killed: bool = False
    policy: str = "allow"
    reapplies: bool = False
    halted: bool = False
    asked_ever: bool = False  # whether the policy ever wanted people to agree
    asks: bool = (
        False  # the policy wants people to agree, and did so the last time that all was quiet
    )

    @property
    def stopped(self) -> bool:
        return self.killed or self.policy == "deny"

    def now_quiet(self) -> None:
        """What was decreed before holds from now on; nothing that was begun before is on its way any more."""
        self.halted, self.asks = self.stopped, self.policy == "ask"

    def decreed(self) -> None:
        """What is not decreed any more holds no longer."""
        self.halted, self.asks = self.halted and self.stopped, self.asks and self.policy == "ask"

    @property
    def hinders(self) -> bool:
        """Whether a run may fail for a reason."""
        return not self.calm or self.stopped or self.policy == "ask"

    def holds_of(self, run: str) -> list[Hold]:
        return [
            hold
            for target in self.targets.values()
            for hold in target.holds.values()
            if hold.run == run
        ]

    def touch(self, target: str) -> None:
        """People are doing something about all leases there, also those of which it is not known yet whether there are any."""
        for run in self.runs.values():
            if target in run.paths.values() and run.id not in self.targets[target].holds:
                run.touched.add(target)

    def waited_for(self, target: str) -> bool:
        """Whether a run that is not over may hold the target, or come to."""
        return any(run.open and target in run.paths.values() for run in self.runs.values())
