"""States of containments, leases and effects, and the transitions between them."""

from __future__ import annotations

from enum import StrEnum

from orchestrator.domain.errors import Conflict


class ContainmentState(StrEnum):
    """The life of a containment on a device."""

    HELD = "held"  # in force, held by leases
    LIFTING = "lifting"  # the last lease ended and the change is being undone
    LIFTED = "lifted"  # no longer in force; a new lease holds it again
    STUCK = "stuck"  # the system refused the undo; it is tried again

    @property
    def is_in_force(self) -> bool:
        """Whether the device shows the containment now, or may show it."""
        return self is not ContainmentState.LIFTED

    def become(self, state: ContainmentState) -> ContainmentState:
        """Return the next state. Raise Conflict for a transition that does not exist."""
        if state not in _NEXT[self]:
            raise Conflict(f"a containment that is {self} cannot become {state}")
        return state


_NEXT: dict[ContainmentState, frozenset[ContainmentState]] = {
    ContainmentState.HELD: frozenset(ContainmentState),
    # Never straight back to held: the undo that runs now would lift the new lease's change too.
    ContainmentState.LIFTING: frozenset(ContainmentState) - {ContainmentState.HELD},
    ContainmentState.LIFTED: frozenset({ContainmentState.HELD, ContainmentState.LIFTED}),
    ContainmentState.STUCK: frozenset(ContainmentState),
}

IN_FORCE = tuple(state for state in ContainmentState if state.is_in_force)


class LeaseState(StrEnum):
    """The life of one run's claim on a containment."""

    LIVE = "live"
    ENDED = "ended"


class EffectState(StrEnum):
    """What became of a change."""

    INTENDED = "intended"  # recorded; the vendor is about to be called, or was
    APPLIED = "applied"  # the vendor confirmed it
    VERIFIED = "verified"  # the device shows it
    FAILED = "failed"  # the vendor refused it; nothing was changed
    UNDONE = "undone"  # reverted, or its containment was lifted

    @property
    def may_be_in_force(self) -> bool:
        """Whether the change is in the world, or may be."""
        return self in {EffectState.INTENDED, EffectState.APPLIED, EffectState.VERIFIED}

    @property
    def is_applied(self) -> bool:
        """Whether the vendor confirmed the change and it was not undone."""
        return self in {EffectState.APPLIED, EffectState.VERIFIED}


MAY_BE_IN_FORCE = tuple(state for state in EffectState if state.may_be_in_force)


class DriftState(StrEnum):
    """How a device deviates from a containment that is held."""

    GONE = "gone"  # the device does not show it, and it was not applied again
    REAPPLYING = "reapplying"  # it is being applied again now


class LeaseEndReason(StrEnum):
    """Why a lease ended, or is about to end."""

    EXPIRED = "expired"  # its time was up
    RELEASED = "released"  # a person released it
    RESTORED = "restored"  # a step of a playbook lifted the containment of its target
    ROLLED_BACK = "rolled_back"  # its run failed or was cancelled
    NOT_APPLIED = "not_applied"  # its step changed nothing

    @property
    def is_release(self) -> bool:
        """Whether the lease ended as planned or by a person, rather than by the run's failure."""
        return self in {
            LeaseEndReason.EXPIRED,
            LeaseEndReason.RELEASED,
            LeaseEndReason.RESTORED,
        }

    def describe(self, actor: str) -> str:
        """Return the reason as text for people. `actor`: who ended it, as in the audit trail."""
        match self:
            case LeaseEndReason.EXPIRED:
                return "the lease expired"
            case LeaseEndReason.RELEASED:
                return f"released by {actor.removeprefix('person:')}"
            case LeaseEndReason.RESTORED:
                return f"run {actor.removeprefix('run:')} lifted the containment"
            case LeaseEndReason.ROLLED_BACK:
                return "the run was rolled back"
            case LeaseEndReason.NOT_APPLIED:
                return "the step changed nothing"
