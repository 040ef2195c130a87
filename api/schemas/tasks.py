"""How does a task look?"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.request_model import Written, example


class Task(BaseModel):
    """Something that needs a person: a release that does not come off, drift, a tripped breaker, a broken glass."""

    model_config = example(
        {
            "id": "task_019a8c7d21f04b6c1e2f3a4b5c6d",
            "kind": "stuck_release",
            "subject": "6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d",
            "summary": "block_address of address 198.51.100.7 on firewall cannot be taken back: the credential is not valid",
            "to_group": "soc-leads",
            "state": "open",
            "opened_at": "2026-01-01T12:00:02Z",
            "closed_at": None,
            "closed_by": None,
            "comment": "",
        }
    )

    id: str
    kind: str
    subject: str
    summary: str
    to_group: str | None
    state: Literal["open", "closed"]
    opened_at: datetime
    closed_at: datetime | None
    closed_by: str | None
    comment: str


class Closing(Written):
    """What was done about it."""

    model_config = ConfigDict(
        **Written.model_config, **example({"comment": "the block was put back by hand"})
    )

    comment: Annotated[str, Field(min_length=1, max_length=2000)]
