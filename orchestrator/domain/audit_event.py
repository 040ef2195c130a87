"""The events of the audit trail, in a closed vocabulary: `subject:verb` or `subject:part:verb`."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime

from orchestrator.domain.model import Frozen


class EventKind(StrEnum):
    """Every kind of event. A new kind is a line here and a line in docs."""

    ALERT_ACCEPTED = "alert:intake:accepted"
    ALERT_DUPLICATE = "alert:intake:duplicate"
    ALERT_REFUSED = "alert:intake:refused"  # not authentic, or not readable: see `reason`
    ALERT_REPLAYED = "alert:intake:replayed"  # a rejected delivery was read again
    RUN_CREATED = "run:created"
    RUN_SUPPRESSED = "run:suppressed"  # an earlier run has the same `once_per` key
    RUN_DEFERRED = "run:deferred"  # its source has too many open runs: it waits for a place
    RUN_LIMITED = "run:limited"  # beyond `runs_per_hour`: it waits for an approval to begin
    RUN_RAISED = "run:raised"  # a more severe alert has its `once_per` key: people are asked again
    RUN_STARTED = "run:started"
    WORKFLOW_REFUSED = "run:workflow:refused"  # a workflow that is not this run's acts for it
    RUN_CANCEL_REQUESTED = "run:cancel_requested"
    RUN_RETRIED = "run:retried"
    RUN_ENDED = "run:ended"
    STEP_READ = "run:step:read"
    STEP_WRITE_REFUSED = "run:step:write_refused"  # a connector tried to write during a read
    STEP_PLANNED = "run:step:planned"
    STEP_EVALUATED = "run:step:evaluated"
    STEP_INTENDED = "run:step:intended"
    STEP_APPLIED = "run:step:applied"
    STEP_VERIFIED = "run:step:verified"
    STEP_FAILED = "run:step:failed"
    STEP_SKIPPED = "run:step:skipped"
    STEP_DONE = "run:step:done"
    UNDO_INTENDED = "containment:undo:intended"
    UNDO_APPLIED = "containment:undo:applied"
    UNDO_FAILED = "containment:undo:failed"
    UNDO_KEPT = "containment:undo:kept"  # another lease is live
    UNDO_ESCALATED = "containment:undo:escalated"  # it keeps failing: people are notified
    CONTAINMENT_CHECKED = "containment:device:checked"
    DRIFT_FOUND = "containment:drift:found"  # the device no longer shows it
    DRIFT_INTENDED = "containment:drift:intended"
    DRIFT_CORRECTED = "containment:drift:corrected"
    CONTAINMENT_RESOLVED = "containment:resolved"  # lifted by hand, as the device confirms
    LEASE_REGISTERED = "containment:lease:registered"
    LEASE_CHANGED = "containment:lease:changed"  # extended or shortened
    LEASE_ENDED = "containment:lease:ended"
    APPROVAL_ASKED = "approval:asked"
    APPROVAL_DECIDED = "approval:decided"
    APPROVAL_HANDED_OVER = "approval:handed_over"  # another group decides
    APPROVAL_REFUSED = "approval:decision:refused"  # wrong digest, wrong person, late, second
    APPROVAL_EXPIRED = "approval:expired"
    APPROVAL_REMINDED = "approval:reminded"
    APPROVAL_WITHDRAWN = "approval:decision:withdrawn"
    APPROVAL_VOIDED = "approval:voided"  # the change is another one by now; asked again
    BREAK_GLASS_USED = "approval:break_glass:used"  # an admin approved alone
    BREAK_GLASS_REVIEWED = "approval:break_glass:reviewed"
    LINK_OPENED = "approval:link:opened"
    LINK_REFUSED = "approval:link:refused"  # unknown, used, too late
    NOTIFICATION_SENT = "notification:sent"
    NOTIFICATION_FAILED = "notification:failed"
    TASK_OPENED = "task:opened"
    TASK_CLOSED = "task:closed"
    CONTACT_SAVED = "access:contact:saved"
    CONTACT_REMOVED = "access:contact:removed"
    SIGNING_KEY_ADDED = "access:signing_key:added"
    SIGNING_KEY_REVOKED = "access:signing_key:revoked"
    PLAYBOOK_SIGNED = "playbook:version:signed"
    PLAYBOOK_PROMOTED = "playbook:version:promoted"
    PLAYBOOK_STAGED = "playbook:version:staged"  # live or shadow
    PLAYBOOK_REFUSED = "playbook:version:refused"  # altered or not signed: it does not run
    PLAYBOOK_SET_ASIDE = "playbook:version:set_aside"  # its trigger exceeded its budget
    DEBUG_STARTED = "playbook:debug:started"  # a person steps through a draft, in staging
    DEBUG_ENDED = "playbook:debug:ended"
    PLAYBOOK_PUBLISHED = "playbook:version:published"
    PLAYBOOK_RETIRED = "playbook:version:retired"
    POLICY_PUBLISHED = "policy:version:published"
    KILL_SWITCH_ENGAGED = "policy:kill_switch:engaged"
    KILL_SWITCH_LIFTED = "policy:kill_switch:lifted"
    BREAKER_TRIPPED = "policy:breaker:tripped"
    BREAKER_RESET = "policy:breaker:reset"
    CONNECTION_SAVED = "connection:saved"
    CONNECTION_WRITE_REFUSED = (
        "connection:call:write_refused"  # as STEP_WRITE_REFUSED, outside of a run
    )
    CONNECTION_REMOVED = "connection:removed"
    RETENTION_ARCHIVED = "retention:archived"  # old records are in a file, and are deleted
    INSTALLATION_RESTORED = "installation:restored"  # from a backup: the trail goes on from there
    ROW_REFUSED = "store:row:refused"  # another hand wrote a row of the database
    SOURCE_SAVED = "source:saved"
    SOURCE_ROTATED = "source:secret:rotated"
    SOURCE_REMOVED = "source:removed"
    PERSON_ADDED = "access:person:added"
    PERSON_CHANGED = "access:person:changed"  # groups, identities, disabled or enabled
    KEY_CREATED = "access:key:created"
    KEY_CONFIRMED = "access:key:confirmed"  # by a second admin, as the policy demands
    KEY_ENROLLED = "access:key:enrolled"  # its person received it
    ENROLMENT_REFUSED = "access:enrolment:refused"  # used, too late, not confirmed, wrong address
    KEY_REVOKED = "access:key:revoked"
    ENCRYPTION_KEY_ADDED = "installation:encryption_key:added"  # the rotation to it begins
    ENCRYPTION_KEY_ROTATED = "installation:encryption_key:rotated"  # older ones are retired
    ENCRYPTION_KEY_DROPPED = "installation:encryption_key:dropped"
    KEYS_ESCROWED = "installation:keys:escrowed"  # several people hold a copy together
    AUDIT_KEY_CHANGED = "installation:audit_key:changed"  # another key signs the next batches
    ACCESS_REFUSED = "access:request:refused"
    ASSETS_IMPORTED = "asset:inventory:imported"
    ASSET_REMOVED = "asset:inventory:removed"


class Event(Frozen):
    """One event, before it is sealed."""

    id: str
    kind: EventKind
    time: AwareDatetime
    actor: str
    """`system`, `source:NAME`, `run:ID` or `person:NAME`."""
    subject: str
    """The id of what it is about: a run, an alert, an approval."""
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as the store returns it, unparsed: an alteration must show."""

    number: int
    """Its number in the database, by the order of writing."""
    record: dict[str, Any]
    """`id`, `kind`, `time`, `actor`, `subject` and `data`."""
    mac: str
    """The tag of the process that wrote it."""


def canonical_time(moment: datetime) -> str:
    """Return a time as the trail spells it, `2026-02-03T04:05:06.000007Z`.

    Raise ValueError for a naive one.
    """
    if moment.tzinfo is None:
        raise ValueError("a time in the audit trail needs its zone; read it from the store as UTC")
    return moment.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


@dataclass(slots=True)
class _Minute:
    number: int = -1
    written: int = 0
    left_out: int = 0


class EventBudget:
    """A bound on the events that those who prove nothing can cause: the others are counted.

    Of each key, so many events are written a minute. An event says how many were left out before.

    The keys must be few: they are kept for good.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute, self._clock = per_minute, clock
        self._minutes: dict[Hashable, _Minute] = {}

    def reserve(self, key: Hashable = None) -> int | None:
        """Return how many events were left out before this one; None: leave this one out too."""
        minute = self._minutes.setdefault(key, _Minute())
        number = int(self._clock() // 60)
        if number != minute.number:
            minute.number, minute.written = number, 0
        if minute.written >= self._per_minute:
            minute.left_out += 1
            return None
        minute.written += 1
        left_out, minute.left_out = minute.left_out, 0
        return left_out
