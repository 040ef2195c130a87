"""The activity `handle_request`: answers what the API asks of a worker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import structlog
from temporalio import activity

from orchestrator.contracts.names import Activity
from orchestrator.contracts.requests import RequestError, WorkerReply, WorkerRequest
from orchestrator.domain.errors import Invalid, Rejected, TocsinError, Unavailable
from orchestrator.requests import RequestHandler, reply_to
from orchestrator.runtime import Runtime

LARGEST_REPLY = 1_800_000
"""Bytes of one reply; Temporal refuses 2 MiB."""

_log = structlog.get_logger(__name__)


class HandleRequest:
    """Errors return as data, so that the API can raise them with their type."""

    def __init__(self, rt: Runtime, handlers: Sequence[RequestHandler[Any, Any]]) -> None:
        self._rt = rt
        self._handlers = {handler.kind.name: handler for handler in handlers}

    @activity.defn(name=Activity.HANDLE_REQUEST)
    async def handle_request(self, request: WorkerRequest) -> WorkerReply:
        """Return the answer of the handler that is registered for the request's kind."""
        handler = self._handlers.get(request.kind)
        if handler is None:
            return _failure(Invalid(f"this worker has no handler for {request.kind}; upgrade it"))
        try:
            message = handler.kind.message.model_validate(request.message)
            reply = reply_to(await handler.handle(self._rt, message), handler.kind)
        except TocsinError as error:
            return _failure(error)
        except Exception as error:  # noqa: BLE001 - a vendor's code may raise anything, and its text may hold a secret
            _log.warning("request failed", kind=request.kind, exc_info=error)
            return _failure(
                Unavailable(f"the request failed on the worker ({type(error).__name__})")
            )
        if (size := len(reply.model_dump_json())) > LARGEST_REPLY:
            return _failure(Rejected(f"the answer has {size} bytes, more than {LARGEST_REPLY}"))
        return reply


def _failure(error: TocsinError) -> WorkerReply:
    return WorkerReply(error=RequestError.of(error))
