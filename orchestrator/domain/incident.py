"""States of incidents and tasks, and the kinds of tasks."""

from __future__ import annotations

from enum import StrEnum

from orchestrator.domain.errors import Conflict


class IncidentStatus(StrEnum):
    """The life of an incident."""

    OPEN = "open"
    CLOSED = "closed"


class TaskState(StrEnum):
    """The life of a task."""

    OPEN = "open"
    CLOSED = "closed"

    def close(self) -> TaskState:
        """Return the state of a closed task. Raise Conflict when it is closed already."""
        if self is TaskState.CLOSED:
            raise Conflict("the task is closed already")
        return TaskState.CLOSED


class TaskKind(StrEnum):
    """Why a task needs a person."""

    STUCK_RELEASE = "stuck_release"  # a system refuses to undo a change; subject: the containment
    DRIFT = "drift"  # a device does not show a containment; subject: the containment
    # A person outside of the group that approved a containment asks to lift it; subject: it.
    RELEASE_REQUESTED = "release_requested"
    BREAK_GLASS = "break_glass"  # a break-glass approval needs a review; subject: the approval
    LOST_RUN = "lost_run"  # Temporal lost a run again and again; subject: the run
    FOREIGN_WORKFLOW = (
        "foreign_workflow"  # a workflow acts for a run that is not its own; subject: the run
    )
    REFUSED_ROW = "refused_row"  # another hand wrote a row; subject: its table and key
    STUCK_RUN = "stuck_run"  # a run does not move, as its workflow task fails; subject: the run
    # The leases of a containment do not end, as its workflow task fails; subject: the containment.
    STUCK_CONTAINMENT = "stuck_containment"
    REJECTED_DELIVERIES = "rejected_deliveries"  # much of a source is unreadable; subject: it
    BREAKER = "breaker"  # a circuit breaker tripped; subject: the source
    REFUSED_PLAYBOOK = (
        "refused_playbook"  # a version does not match its record; subject: name@version
    )
    RESTORED = "restored"  # devices may show what came after the backup; subject: its time
    # The trigger of a version exceeded its budget, and starts no runs; subject: name@version.
    SET_ASIDE_PLAYBOOK = "set_aside_playbook"
    # Runs of a source did not begin, as too many of it are open; subject: the source.
    DEFERRED_RUNS = "deferred_runs"
    AUDIT_TRAIL = "audit_trail"  # the trail is not what was sealed; subject: what is wrong with it

    @property
    def is_closed_by_review(self) -> bool:
        """Whether only the review of its subject closes the task."""
        return self is TaskKind.BREAK_GLASS
