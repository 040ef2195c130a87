"""Request bodies of the contact routes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from api.schemas.request_model import RequestModel, example


class SaveContact(RequestModel):
    """How a person is reached. From there they can decide what their API keys permit."""

    model_config = example(
        {"email": "ann@corp.example", "slack_user": "U012AB3CD4"}, {"email": "bob@corp.example"}
    )

    email: Annotated[str | None, Field(max_length=254)] = None
    slack_user: Annotated[
        str | None, Field(max_length=21, description="The member id from the Slack profile.")
    ] = None
