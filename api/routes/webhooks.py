"""The webhook: takes what a product sends and answers once its alerts are committed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from api.container import Container, container_of
from api.limits.deliveries import Admission, TooBusy
from api.limits.rates import address_of, spend
from api.problems import TooLarge, error_responses
from orchestrator.domain.errors import Invalid
from orchestrator.intake import accept as intake
from orchestrator.intake.answers import Accepted, Ignored, new_incidents
from orchestrator.intake.authenticate import NotAuthentic, Reason

router = APIRouter(tags=["webhooks"])

Source = Annotated[
    str,
    Path(min_length=1, max_length=64, description="The source's name.", examples=["edge-ids"]),
]
_RAW_BODY = {
    "security": [],
    "requestBody": {
        "required": True,
        "description": "The product's own payload: JSON, or one JSON value per line; as it is, or "
        "compressed by gzip or deflate. The source authenticates exactly these bytes.",
        "content": {
            "application/json": {
                "schema": {},
                "example": {"event_type": "alert", "alert": {"signature": "ET MALWARE Beacon"}},
            },
            "application/x-ndjson": {
                "schema": {"type": "string"},
                "example": '{"event_type": "alert"}\n{"event_type": "alert"}\n',
            },
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
        **error_responses(401, 415, 422),
    },
    openapi_extra=_RAW_BODY,
)
async def accept_webhook(source: Source, request: Request) -> Response:
    """Accept alerts from a source.

    The answer is sent once the alerts are committed. Their runs start right afterwards, or when
    Temporal is reachable again. The request is authenticated by the source's scheme, not by an API
    key; an unknown source is answered like a wrong credential. What an authentic source sends and
    Tocsin cannot read is kept, and can be replayed.
    """
    container = container_of(request)
    sender = request.client.host if request.client else None
    request.state.logged = {"source": source}
    address = address_of(request.scope)
    spend(request.scope, container.rates.source, f"{source} {address}")
    try:
        with container.deliveries.admit(source) as admission:
            body = await _read(request, container, admission, source, sender)
            outcome = await intake.accept(container.rt, source, request.headers.raw, body, sender)
    except TooBusy:
        container.metrics.count_webhook(None, "busy")  # nothing proves the source yet
        raise
    except NotAuthentic as refusal:
        known = None if refusal.reason is Reason.UNKNOWN_SOURCE else source
        container.metrics.count_webhook(known, "refused")
        spend(request.scope, container.rates.failures, address)
        raise
    except Invalid:
        container.metrics.count_webhook(source, "unreadable")
        raise
    if isinstance(outcome, Ignored):
        container.metrics.count_webhook(source, "ignored")
        return _answer(outcome, 200)
    request.state.logged |= {"alert_id": outcome.alert_id, "run_ids": list(outcome.run_ids)}
    duplicates = sum(alert.duplicate for alert in outcome.alerts)
    container.metrics.count_webhook(source, "accepted", len(outcome.alerts) - duplicates)
    container.metrics.count_webhook(source, "duplicate", duplicates)
    container.metrics.count_webhook(source, "unreadable", len(outcome.rejected))
    container.dispatcher.enqueue(outcome.run_ids, new_incidents(outcome))
    return _answer(outcome, 200 if outcome.duplicate else 202)


async def _read(
    request: Request,
    container: Container,
    admission: Admission,
    source: str,
    sender: str | None,
) -> bytes:
    """Return the body. One that is over the limit is recorded before the 413 is answered."""
    try:
        return await admission.read(request)
    except TooLarge:
        proven = await intake.record_too_large(container.rt, source, request.headers.raw, sender)
        container.metrics.count_webhook(source, "unreadable" if proven else "refused")
        raise


def _answer(outcome: Accepted | Ignored, status: int) -> Response:
    # Written here, so that a duplicate is not validated a second time against the model of the 202.
    return Response(outcome.model_dump_json(), status, media_type="application/json")
