"""The webhook: takes what a product sends and answers once its alerts are committed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from api.container import container_of
from api.problems import error_responses
from orchestrator.domain.errors import Invalid, NotFound
from orchestrator.intake import accept as intake
from orchestrator.intake.authenticate import NotAuthentic
from orchestrator.intake.persist import Accepted, Ignored

router = APIRouter(tags=["webhooks"])

Source = Annotated[
    str,
    Path(min_length=1, max_length=64, description="The source's name.", examples=["edge-ids"]),
]
_RAW_BODY = {
    "security": [],
    "requestBody": {
        "required": True,
        "description": "The product's own payload. The source authenticates exactly these bytes.",
        "content": {
            "application/json": {
                "schema": {},
                "example": {"event_type": "alert", "alert": {"signature": "ET MALWARE Beacon"}},
            }
        },
    },
}


@router.post(
    "/v1/webhooks/{source}",
    status_code=202,
    response_model=Accepted,
    responses={
        200: {
            "model": Accepted | Ignored,
            "description": "Every alert in it is known already, or it holds no alert",
        },
        **error_responses(401, 404, 422),
    },
    openapi_extra=_RAW_BODY,
)
async def accept_webhook(source: Source, request: Request) -> Response:
    """Accept alerts from a source.

    The answer is sent once the alerts are committed. Their runs start right afterwards, or when
    Temporal is reachable again. The request is authenticated by the source's scheme, not by an API
    key.
    """
    container = container_of(request)
    body = await request.body()
    try:
        outcome = await intake.accept(container.rt, source, request.headers.raw, body)
    except NotFound:
        container.metrics.count_webhook(None, "refused")
        raise
    except (NotAuthentic, Invalid):
        container.metrics.count_webhook(source, "refused")
        raise
    if isinstance(outcome, Ignored):
        container.metrics.count_webhook(source, "ignored")
        return _answer(outcome, 200)
    container.metrics.count_webhook(source, "duplicate" if outcome.duplicate else "accepted")
    container.dispatcher.enqueue(
        outcome.run_ids, (each.incident_id for each in outcome.alerts if not each.duplicate)
    )
    return _answer(outcome, 200 if outcome.duplicate else 202)


def _answer(outcome: Accepted | Ignored, status: int) -> Response:
    # Written here, so that a duplicate is not validated a second time against the model of the 202.
    return Response(outcome.model_dump_json(), status, media_type="application/json")
