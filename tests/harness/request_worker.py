"""A stand-in for a Temporal client whose worker answers requests in this process."""

from __future__ import annotations

from typing import Any, cast

from temporalio.client import Client

from orchestrator.contracts.requests import WorkerReply, WorkerRequest
from orchestrator.engine.activities.handle_request import HandleRequest
from orchestrator.requests import RequestHandler
from orchestrator.runtime import Runtime
from orchestrator.worker import REQUEST_HANDLERS


class _InProcess:
    def __init__(self, rt: Runtime, handlers: tuple[RequestHandler[Any, Any], ...]) -> None:
        self._work = HandleRequest(rt, handlers)

    async def execute_workflow(self, _name: str, request: WorkerRequest, **_: Any) -> WorkerReply:
        # Through JSON, as the data converter does.
        crossed = WorkerRequest.model_validate_json(request.model_dump_json())
        reply = await self._work.handle_request(crossed)
        return WorkerReply.model_validate_json(reply.model_dump_json())


def request_worker(
    rt: Runtime, handlers: tuple[RequestHandler[Any, Any], ...] = REQUEST_HANDLERS
) -> Client:
    """Return what `ask_worker` takes as its client; it answers nothing but requests."""
    return cast("Client", _InProcess(rt, handlers))
