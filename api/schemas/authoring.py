"""Request bodies of authoring."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from api.schemas.playbooks import PlaybookText
from api.schemas.request_model import Document, RequestModel, Version, example


class DraftText(RequestModel):
    """A text that need not be published."""

    text: Document


class PublishedVersion(RequestModel):
    """A published version."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    version: Annotated[Version | None, Field(description="Default: the one that takes alerts.")] = (
        None
    )


class ComparePlaybooks(RequestModel):
    """Two playbooks to compare."""

    model_config = example(
        {
            "a": {"name": "c2-beacon-containment", "version": 3},
            "b": {"text": "playbook: c2-beacon-containment\nversion: 4\n..."},
        }
    )

    a: DraftText | PublishedVersion
    b: DraftText | PublishedVersion


class RunTests(RequestModel):
    """A playbook and its tests, which need not be published."""

    model_config = example(
        {
            "playbook": "playbook: block-address\nversion: 1\n...",
            "tests": "playbook: block-address\ncases: ...",
        }
    )

    playbook: Document
    tests: Document
    files: Annotated[
        dict[str, str],
        Field(max_length=500, description="Files that the cases name, in base64."),
    ] = {}
    only: Annotated[
        str | None, Field(max_length=200, description="Only cases whose name contains this.")
    ] = None
    given: Annotated[
        tuple[PlaybookText, ...],
        Field(max_length=500, description="Drafts that it may call as if they were published."),
    ] = ()


class ScaffoldPlaybook(RequestModel):
    """A playbook to start from."""

    model_config = example(
        {"name": "block-address", "template": "containment", "title": "Block an address"}
    )

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    template: Literal["containment", "enrichment", "ticket"] = "containment"
    title: Annotated[str | None, Field(min_length=1, max_length=200)] = None
