"""How does an event of the audit trail look?"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from api.schemas.request_model import example
from orchestrator.domain.audit_event import EventKind


class AuditEvent(BaseModel):
    """One event. `seq` is its place in the sealed chain; null while it is not sealed yet."""

    model_config = example(
        {
            "number": 17,
            "seq": 17,
            "id": "evt_019a8c7d21f04b6c1e2f3a4b5c6d",
            "kind": "run:step:applied",
            "time": "2026-01-01T12:00:02Z",
            "actor": "run:run_019a8c7d21f04b6c1e2f3a4b5c6d",
            "subject": "run_019a8c7d21f04b6c1e2f3a4b5c6d",
            "data": {"path": "contain/block"},
        }
    )

    number: int
    seq: Annotated[int | None, Field(description="Its place in the chain.")]
    id: str
    kind: EventKind
    time: datetime
    actor: str
    subject: str
    data: dict[str, Any]
