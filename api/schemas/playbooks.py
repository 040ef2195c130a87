"""Request bodies of playbooks."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from api.schemas.request_model import Document, RequestModel, example


class PlaybookText(RequestModel):
    """A playbook as its author wrote it."""

    model_config = example({"text": "playbook: block-address\nversion: 1\n..."})

    text: Document
    file: Annotated[
        str, Field(min_length=1, max_length=200, description="The file's name in messages.")
    ] = "playbook.yaml"


class PlaybookDraft(PlaybookText):
    """A playbook, with the drafts that it may call."""

    given: Annotated[
        tuple[PlaybookText, ...],
        Field(max_length=500, description="Drafts that it may call as if they were published."),
    ] = ()


class PublishPlaybook(PlaybookText):
    """A playbook with the files next to it."""

    tests: Annotated[
        Document | None, Field(description="Its tests.yaml, which is signed and promoted with it.")
    ] = None
    files: Annotated[
        dict[str, str],
        Field(max_length=500, description="Files that the tests name, in base64."),
    ] = {}
    stage: Annotated[
        Literal["live", "shadow"],
        Field(description="shadow: it runs dry next to the live version."),
    ] = "live"

    @model_validator(mode="after")
    def _has_tests(self) -> Self:
        if self.files and self.tests is None:
            message = "`files` are those that `tests` name; send the tests too"
            raise ValueError(message)
        return self
