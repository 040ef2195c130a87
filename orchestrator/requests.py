"""Ask a worker: how the API gets an answer from a vendor without opening a connection itself."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, TypeAdapter
from temporalio.client import Client, WorkflowFailureError
from temporalio.service import RPCError

from orchestrator.contracts.names import TASK_QUEUE, Workflow
from orchestrator.contracts.requests import WorkerReply, WorkerRequest
from orchestrator.domain.errors import Unavailable
from orchestrator.runtime import Runtime

Message = TypeVar("Message", bound=BaseModel)
Answer = TypeVar("Answer")

ANSWER_WITHIN = timedelta(seconds=20)
"""How long the API waits for an answer, unless the caller says otherwise."""
HANDLER_TIME = timedelta(minutes=10)
"""How long a handler may work, even if the asker no longer waits."""


@dataclass(frozen=True, slots=True)
class RequestKind(Generic[Message, Answer]):
    """A question that a worker answers: its name and the types that cross."""

    name: str
    message: type[Message]
    answer: type[Answer]  # whatever pydantic can validate: a model, str, list[Model], ...


@dataclass(frozen=True, slots=True)
class RequestHandler(Generic[Message, Answer]):
    """The function that answers one kind of request on a worker."""

    kind: RequestKind[Message, Answer]
    handle: Callable[[Runtime, Message], Awaitable[Answer]]


async def ask_worker(
    client: Client | None,
    kind: RequestKind[Message, Answer],
    message: Message,
    *,
    within: timedelta = ANSWER_WITHIN,
) -> Answer:
    """Return a worker's answer. Raise what the handler raised, or Unavailable after `within`.

    A request that no worker has begun `within` that time is dropped. One that was begun is carried
    to its end, even if the asker has given up: after a request that changes something, treat
    Unavailable as an unknown outcome.
    """
    if client is None:
        raise Unavailable("Temporal does not answer, so no worker can be asked; try again")
    request = WorkerRequest(
        kind=kind.name, message=message.model_dump(mode="json"), start_within=within
    )
    reply = await _run_on_worker(client, request, within)
    if reply.error is not None:
        raise reply.error.to_exception()
    answer: Answer = TypeAdapter(kind.answer).validate_python(reply.answer)
    return answer


async def _run_on_worker(client: Client, request: WorkerRequest, within: timedelta) -> WorkerReply:
    """Run a short workflow: a standalone activity needs a newer server than many clusters have."""
    try:
        async with asyncio.timeout(within.total_seconds()):
            reply: WorkerReply = await client.execute_workflow(
                Workflow.ANSWER_REQUEST,
                request,
                id=f"request-{request.kind}-{uuid.uuid4().hex}",
                task_queue=TASK_QUEUE,
                execution_timeout=within + HANDLER_TIME,
                result_type=WorkerReply,
            )
            return reply
    except TimeoutError:
        raise Unavailable(
            f"no worker answered within {within.total_seconds():g} s; "
            "check that a worker runs (`tocsin worker`) and that the system it asks responds"
        ) from None
    except WorkflowFailureError as error:
        raise Unavailable("the worker stopped before it answered; try again") from error
    except (RPCError, RuntimeError, OSError) as error:
        raise Unavailable(
            "Temporal does not answer, so no worker can be asked; try again"
        ) from error


def reply_to(answer: Any, kind: RequestKind[Any, Any]) -> WorkerReply:
    """Return the answer as the JSON that crosses."""
    return WorkerReply(answer=TypeAdapter(kind.answer).dump_python(answer, mode="json"))
