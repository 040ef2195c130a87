"""The position of a sink: what it has acknowledged, with a MAC against the database's owner."""

from __future__ import annotations

from datetime import datetime

from orchestrator.crypto.mac import Authenticator
from orchestrator.domain.audit_event import canonical_time
from orchestrator.domain.digest import canonical
from orchestrator.store.tables import AuditSinkRow

_POSITION = b"tocsin:audit:sink:1\n"


def sign_position(row: AuditSinkRow, authenticator: Authenticator) -> None:
    """Put the MAC of the position into the row."""
    row.mac = authenticator.tag(_message(row))


def is_genuine(row: AuditSinkRow, authenticator: Authenticator) -> bool:
    """Return whether a process of this installation wrote the position."""
    return authenticator.verifies(row.mac, _message(row))


def _message(row: AuditSinkRow) -> bytes:
    at: datetime | None = row.acknowledged_at
    moment = canonical_time(at) if at else None
    return _POSITION + canonical([row.name, row.batch, row.digest, moment])
