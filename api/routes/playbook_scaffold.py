"""Writing: a playbook to begin with, and the schemas that editors check with."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from api.container import Rt
from api.dependencies import Guarded, requires
from api.problems import documented
from api.schemas.request_model import Written, example
from orchestrator.authoring.editor import schema_of_policies, schema_of_tests
from orchestrator.connections.catalogue import load_catalogue
from orchestrator.domain.access import Permission
from orchestrator.playbook.schema.editor import json_schema
from orchestrator.playbook.schema.scaffold import begun

router = APIRouter(tags=["playbooks"], route_class=Guarded)

_SCHEMA: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            "application/json": {
                "example": {
                    "$schema": "https://json-schema.org/draft/2020-12/schema",
                    "title": "Playbook",
                }
            }
        }
    }
}


class Begin(Written):
    """A playbook to begin with."""

    model_config = example(
        {"name": "block-address", "template": "containment", "title": "Block an address"}
    )

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    template: Literal["containment", "enrichment", "ticket"] = "containment"
    title: Annotated[str | None, Field(min_length=1, max_length=200)] = None


class Begun(BaseModel):
    """The files of its folder: good as they stand, and nothing is published."""

    model_config = example(
        {
            "files": {
                "playbook.yaml": "playbook: block-address\n...",
                "tests.yaml": "playbook: block-address\n...",
            }
        }
    )

    files: dict[str, str]


@router.post(
    "/v1/playbooks/new",
    response_model=Begun,
    dependencies=[requires(Permission.READ)],
    responses=documented(401, 403, 422),
)
async def begin(body: Begin) -> object:
    """Files to begin with: a playbook from a template, and tests that pass."""
    return Begun(files=begun(body.name, body.template, body.title))


@router.get(
    "/v1/playbooks/schema",
    response_model=dict[str, Any],
    dependencies=[requires(Permission.READ)],
    responses=_SCHEMA | documented(401, 403, 422),
)
async def schema(
    rt: Rt,
    of: Annotated[Literal["playbook", "tests", "policy"], Query(examples=["tests"])] = "playbook",
) -> object:
    """The JSON Schema for editors; it knows the connections of this environment."""
    if of == "policy":
        return schema_of_policies()
    known = await load_catalogue(rt)
    return json_schema(known) if of == "playbook" else schema_of_tests(known)
