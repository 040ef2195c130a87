"""Tests of playbooks: run by the real engine, without any system."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field

from api.container import Rt
from api.dependencies import Guarded, requires
from api.problems import documented
from api.schemas.request_model import Document, Written, example
from orchestrator.authoring.rehearsal.api_runner import tried_here
from orchestrator.authoring.rehearsal.report import Subject, as_json
from orchestrator.connections.catalogue import load_catalogue
from orchestrator.domain.access import Permission
from orchestrator.registry import playbooks

router = APIRouter(tags=["playbooks"], route_class=Guarded)

_SHOWN: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            "application/json": {
                "example": {
                    "playbook": "block-address",
                    "version": 1,
                    "cases": [{"name": "a known attacker is blocked", "passed": True}],
                    "coverage": {"percent": 100.0, "missing": [], "points": 7},
                }
            }
        }
    }
}


class Try(Written):
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
        Field(
            max_length=500, description="Those that the cases name, by relative name, in base64."
        ),
    ] = {}
    only: Annotated[
        str | None, Field(max_length=200, description="Only cases whose name holds this.")
    ] = None


@router.post(
    "/v1/playbooks/test",
    response_model=dict[str, Any],
    dependencies=[requires(Permission.PLAYBOOK_PUBLISH)],
    responses=_SHOWN | documented(401, 403, 422),
)
async def try_playbook(rt: Rt, body: Try) -> object:
    """Whether each case comes out as it says, and how much of the playbook they reach. Nothing is published or changed."""
    known = await playbooks.published_plans(rt)
    tested = Subject(
        text=body.playbook, file="playbook.yaml", tests=body.tests, tests_file="tests.yaml"
    )
    catalogue = await load_catalogue(rt)
    report = await tried_here(
        tested,
        body.files,
        catalogue,
        lambda name, version: known.get((name, version)),
        only=body.only,
    )
    return as_json([report])[0]
