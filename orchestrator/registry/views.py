"""Views of published versions."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import ConfigDict

from orchestrator.domain.model import Frozen

_EXAMPLE: dict[str, Any] = {
    "name": "c2-beacon-containment",
    "version": 3,
    "digest": "6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
    "title": "Contain a host that beacons to a command-and-control server",
    "owner": "soc-tier-2",
    "source": "playbook: c2-beacon-containment\nversion: 3\n...",
    "created_at": "2026-01-01T12:00:00Z",
    "published_by": "person:ann",
    "retired": False,
    "stage": "live",
    "set_aside_at": None,
    "tested": True,
}


class PlaybookView(Frozen):
    """A published version."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    name: str
    version: int
    digest: str
    title: str
    owner: str
    source: str
    created_at: datetime
    published_by: str
    retired: bool
    stage: str = "live"
    set_aside_at: datetime | None = None
    """When its trigger exceeded its budget; it starts no runs since."""
    tested: bool = False
    """Whether its tests were published with it."""


class PublishOutcome(StrEnum):
    """What publishing did."""

    PUBLISHED = "published"
    UNCHANGED = "unchanged"
    """The version is published already, with this content."""
    TESTS_ADDED = "tests_added"
    """The version is published already, without tests until now."""
    RESUMED = "resumed"
    """The version was set aside, and starts runs again."""


class PublishedPlaybook(PlaybookView):
    """A published version, and whether it was published before."""

    model_config = ConfigDict(json_schema_extra={"example": {**_EXAMPLE, "outcome": "published"}})

    outcome: PublishOutcome
