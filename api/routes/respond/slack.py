"""Slack: the clicks on the buttons of its messages."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel

from api.container import Rt, Temporal, container_of
from api.problems import error_responses
from api.schemas.request_model import example
from orchestrator.approvals.channels.slack_callback import NotFromSlack, handle_click

router = APIRouter(tags=["slack"])

_BODY = {
    "security": [],
    "requestBody": {
        "required": True,
        "description": "The payload of a button, exactly as Slack sends and signs it.",
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "type": "object",
                    "properties": {"payload": {"type": "string"}},
                    "required": ["payload"],
                },
                "example": {"payload": '{"type": "block_actions"}'},
            }
        },
    },
}


class EphemeralReply(BaseModel):
    """The reply that only the person who clicked sees. The worker sends it to Slack."""

    model_config = example(
        {
            "response_type": "ephemeral",
            "replace_original": False,
            "text": "Recorded. 1 of 2 approvals.",
        }
    )

    response_type: Literal["ephemeral"] = "ephemeral"
    replace_original: bool = False
    text: str


@router.post(
    "/v1/slack/interactions",
    responses=error_responses(401, 404, 422),
    openapi_extra=_BODY,
)
async def receive_slack_click(rt: Rt, client: Temporal, request: Request) -> EphemeralReply:
    """Receive a click on Approve or Decline, authenticated by Slack's signature."""
    body = await request.body()
    try:
        text = await handle_click(rt, client, request.headers, body)
    except NotFromSlack as error:
        await container_of(request).access_audit.record_unauthenticated(request, str(error), None)
        raise HTTPException(401, str(error), {"WWW-Authenticate": "Slack"}) from None
    return EphemeralReply(text=text)
