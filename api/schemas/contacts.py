"""How are people reached, and what were they told?"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from api.schemas.request_model import Written, example

NotificationState = Literal["waiting", "sent", "failed", "void"]


class SaveContact(Written):
    """How a person is reached. They may decide there what their own API keys let them decide."""

    model_config = example(
        {"email": "ann@corp.example", "slack_user": "U012AB3CD4"}, {"email": "bob@corp.example"}
    )

    email: Annotated[str | None, Field(max_length=254)] = None
    slack_user: Annotated[
        str | None,
        Field(max_length=21, description="The member id, which Slack shows in a profile."),
    ] = None


class Notification(BaseModel):
    """A message to a person about an approval or a task; without address and link."""

    model_config = example(
        {
            "id": "ntc_1f0c",
            "about": "apr_1f0c",
            "person": "ann",
            "channel": "email",
            "kind": "asked",
            "state": "failed",
            "attempts": 24,
            "error": "the mail server refuses the recipient (550)",
            "created_at": "2026-01-01T12:00:01Z",
            "sent_at": None,
            "next_at": None,
        }
    )

    id: str
    about: str
    person: str
    channel: Literal["email", "slack"]
    kind: Literal["asked", "reminder", "escalated", "closed", "task"]
    state: NotificationState
    attempts: int
    error: str | None
    created_at: datetime
    sent_at: datetime | None
    next_at: datetime | None


class Ephemeral(BaseModel):
    """What the person who clicked is told."""

    model_config = example(
        {
            "response_type": "ephemeral",
            "replace_original": False,
            "text": "Your answer counts. This is approved.",
        }
    )

    response_type: Literal["ephemeral"] = "ephemeral"
    replace_original: bool = False
    text: str
