"""Request bodies about runs."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from api.schemas.request_model import Name, RequestModel, Version, example
from orchestrator.domain.run import Mode


class StartRun(RequestModel):
    """The playbook to start, on an alert or on inputs."""

    model_config = example(
        {
            "playbook": "c2-beacon-containment",
            "alert_id": "alert_019a8c7d21f04b6c1e2f3a4b5c6d",
            "mode": "dry_run",
        },
        {"playbook": "block-address", "version": 2, "inputs": {"address": "198.51.100.7"}},
    )

    playbook: Name
    version: Annotated[Version | None, Field(description="Null: the newest live version.")] = None
    inputs: dict[str, Any] = {}
    alert_id: Annotated[str | None, Field(min_length=1, max_length=200)] = None
    mode: Annotated[
        Mode, Field(description="`dry_run` plans and evaluates changes, and applies none.")
    ] = Mode.LIVE
