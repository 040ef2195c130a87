"""Authentication of events: a tag by the process that wrote it, under a key outside the store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.crypto.mac import Authenticator
from orchestrator.domain.audit_event import Event, StoredEvent, canonical_time
from orchestrator.domain.digest import canonical

_EVENT = b"tocsin:audit:event-mac:1\n"


def event_row(event: Event, authenticator: Authenticator) -> dict[str, Any]:
    """Return the columns of an event that `sealable` has sanitized, with its tag."""
    record = {
        "id": event.id,
        "kind": event.kind.value,
        "time": canonical_time(event.time),
        "actor": event.actor,
        "subject": event.subject,
        "data": event.data,
    }
    return {**record, "mac": authenticator.tag(_message(record))}


def is_authentic(event: StoredEvent, authenticator: Authenticator) -> bool:
    """Return whether a process with the key wrote the event, and wrote it as it is."""
    try:
        return authenticator.verifies(event.mac, _message(event.record))
    except (ValueError, RecursionError):  # what RFC 8785 cannot express was never written
        return False


def _message(record: Mapping[str, Any]) -> bytes:
    return _EVENT + canonical(dict(record))
