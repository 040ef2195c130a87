"""Slack: what its buttons send."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request
from starlette.background import BackgroundTask
from starlette.responses import JSONResponse, Response

from api.container import Rt, Temporal, parts
from api.problems import documented
from api.schemas.contacts import Ephemeral
from orchestrator.approvals.slack_callback import NotSlack, click, whisper

router = APIRouter(tags=["slack"])

_BODY = {
    "security": [],
    "requestBody": {
        "required": True,
        "description": "What Slack sends for a button, as it sends it. Its signature is over these very bytes.",
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


@router.post(
    "/v1/slack/interactions",
    response_model=Ephemeral,
    responses=documented(401, 404, 422),
    openapi_extra=_BODY,
)
async def interactions(rt: Rt, client: Temporal, request: Request) -> Response:
    """Take a click on Approve or Decline. Authenticated by Slack's signature; whoever may not decide is told so, alone."""
    body = await request.body()
    try:
        reply = await click(rt, client, request.headers, body)
    except NotSlack as error:
        await parts(request).refusals.unknown(request, str(error), None)
        raise HTTPException(401, str(error), {"WWW-Authenticate": "Slack"}) from None
    shown = Ephemeral(text=reply.text).model_dump()
    return JSONResponse(shown, background=BackgroundTask(whisper, rt, reply))
