"""The closed vocabulary of the audit trail: `subject:noun:verb`."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime

from orchestrator.domain.model import Frozen


class EventKind(StrEnum):
    """Everything that can stand in the trail. A new kind is a line here and a line in docs."""

    ALERT_ACCEPTED = "alert:intake:accepted"
    ALERT_DUPLICATE = "alert:intake:duplicate"
    ALERT_REFUSED = "alert:intake:refused"  # authentication failed
    RUN_CREATED = "run:run:created"
    RUN_SUPPRESSED = "run:run:suppressed"  # once_per: an earlier run covers it
    RUN_LIMITED = "run:run:limited"  # the playbook's runs_per_hour is used up
    RUN_STARTED = "run:run:started"
    RUN_CANCEL_REQUESTED = "run:run:cancel_requested"
    RUN_RETRIED = "run:run:retried"
    RUN_ENDED = "run:run:ended"
    STEP_READ = "run:step:read"
    STEP_PLANNED = "run:step:planned"
    STEP_JUDGED = "run:step:judged"
    STEP_INTENDED = "run:step:intended"
    STEP_APPLIED = "run:step:applied"
    STEP_VERIFIED = "run:step:verified"
    STEP_FAILED = "run:step:failed"
    STEP_SKIPPED = "run:step:skipped"
    STEP_DONE = "run:step:done"
    UNDO_INTENDED = "containment:undo:intended"
    UNDO_APPLIED = "containment:undo:applied"
    UNDO_FAILED = "containment:undo:failed"
    UNDO_KEPT = "containment:undo:kept"  # another lease still holds it
    LEASE_REGISTERED = "containment:lease:registered"
    LEASE_CHANGED = "containment:lease:changed"  # extended or shortened
    LEASE_ENDED = "containment:lease:ended"
    APPROVAL_ASKED = "approval:approval:asked"
    APPROVAL_DECIDED = "approval:approval:decided"
    APPROVAL_REFUSED = "approval:decision:refused"  # wrong digest, wrong person, late, second
    APPROVAL_EXPIRED = "approval:approval:expired"
    PLAYBOOK_PUBLISHED = "playbook:version:published"
    PLAYBOOK_RETIRED = "playbook:version:retired"
    POLICY_PUBLISHED = "policy:version:published"
    KILL_SWITCH_ENGAGED = "policy:kill_switch:engaged"
    KILL_SWITCH_LIFTED = "policy:kill_switch:lifted"
    CONNECTION_SAVED = "connection:connection:saved"
    CONNECTION_REMOVED = "connection:connection:removed"
    SOURCE_SAVED = "source:source:saved"
    SOURCE_REMOVED = "source:source:removed"
    KEY_CREATED = "access:key:created"
    KEY_REVOKED = "access:key:revoked"
    ACCESS_REFUSED = "access:request:refused"
    ASSETS_IMPORTED = "asset:inventory:imported"


class Event(Frozen):
    """One line of the trail, before it is sealed. `actor`: `system`, `source:NAME`, `run:ID` or `person:NAME`."""

    id: str
    kind: EventKind
    time: AwareDatetime
    actor: str
    subject: str  # the id of what it is about: a run, an alert, an approval, ...
    data: dict[str, Any]
