"""Debug sessions for the API: each is a workflow, its owner's alone, and runs in staging only."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any, TypeVar

from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowUpdateFailedError,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode

from orchestrator.audit import trail
from orchestrator.authoring.debug.request import SESSION_PREFIX, BeginSession, prepare_session
from orchestrator.contracts.debug import DebugCommand, DebugInput, DebugReply, DebugState
from orchestrator.contracts.names import TASK_QUEUE, Workflow
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import (
    Conflict,
    Forbidden,
    NotFound,
    Unavailable,
)
from orchestrator.runtime import Runtime

MAX_SESSIONS = 8
"""Sessions that are open at once."""
WORKER_TIME = timedelta(seconds=30)
"""How long the API waits for a worker; longer than a session itself takes to answer."""
T = TypeVar("T")


async def begin_session(
    rt: Runtime, client: Client | None, request: BeginSession, *, person: str
) -> DebugState:
    """Begin a session, and return its state at the first stop.

    Raises Forbidden (not in staging), Conflict (too many), NotFound, Invalid, PlaybookInvalid, and
    Unavailable when no worker answers.
    """
    _check_staging(rt)
    given = await prepare_session(rt, request, person)
    temporal = _connected(client)
    open_sessions = f'WorkflowType="{Workflow.DEBUG}" AND ExecutionStatus="Running"'
    count = await _answer(temporal.count_workflows(open_sessions))
    if count.count >= MAX_SESSIONS:
        raise Conflict(f"{MAX_SESSIONS} debug sessions are open; end one of them first")
    await _audit_start(rt, given)
    session_id = given.run.run.run_id
    start = WithStartWorkflowOperation[Any, DebugState](
        Workflow.DEBUG,
        given,
        id=session_id,
        task_queue=TASK_QUEUE,
        memo={"person": person},
        id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
        result_type=DebugState,
    )
    try:
        reply = await _answer(
            temporal.execute_update_with_start_workflow(
                "begin", start_workflow_operation=start, result_type=DebugReply
            )
        )
    except Unavailable:
        await _give_up(temporal, session_id)
        raise
    return _state_of(reply)


async def get_session(client: Client | None, session_id: str, *, person: str) -> DebugState:
    """Return the state of a person's session. Raises NotFound, Unavailable."""
    handle, is_open = await _own(client, session_id, person)
    if not is_open:
        return await _answer(handle.result())
    state: DebugState = await _answer(handle.query("state", result_type=DebugState))
    return state


async def execute_command(
    rt: Runtime, client: Client | None, session_id: str, command: DebugCommand, *, person: str
) -> DebugState:
    """Execute a command, and return the state at the next stop.

    Raises NotFound, Forbidden, Conflict, Invalid, Unavailable.
    """
    _check_staging(rt)
    handle, is_open = await _own(client, session_id, person)
    if not is_open:
        raise Conflict("the debug session is over; begin another")
    try:
        return _state_of(
            await _answer(handle.execute_update("command", command, result_type=DebugReply))
        )
    except NotFound:  # it ended in the meantime
        raise Conflict("the debug session is over; begin another") from None


async def end_session(client: Client | None, session_id: str, *, person: str) -> DebugState:
    """End a session; what it applied is undone, unless it is kept. Raises NotFound, Unavailable."""
    handle, is_open = await _own(client, session_id, person)
    if is_open:
        try:
            reply = await _answer(handle.execute_update("close", result_type=DebugReply))
            return _state_of(reply)
        except NotFound:
            pass  # it ended in the meantime
    return await _answer(handle.result())


def _check_staging(rt: Runtime) -> None:
    if rt.settings.environment != "staging":
        raise Forbidden(
            "playbooks are debugged in staging only; "
            'set `environment = "staging"` on a separate installation'
        )


def _connected(client: Client | None) -> Client:
    if client is None:
        raise Unavailable("Temporal does not answer, so no worker can be asked; try again")
    return client


async def _own(
    client: Client | None, session_id: str, person: str
) -> tuple[WorkflowHandle[Any, DebugState], bool]:
    """Return a person's session, and whether it is open. Raises NotFound."""
    problem = NotFound(f"you have no debug session {session_id}")
    if not session_id.startswith(f"{SESSION_PREFIX}_"):
        raise problem
    handle: WorkflowHandle[Any, DebugState] = _connected(client).get_workflow_handle(
        session_id, result_type=DebugState
    )
    try:
        found = await _answer(handle.describe())
    except NotFound:
        raise problem from None
    if found.workflow_type != Workflow.DEBUG or (await found.memo()).get("person") != person:
        raise problem
    if found.status is WorkflowExecutionStatus.RUNNING:
        return handle, True
    if found.status is not WorkflowExecutionStatus.COMPLETED:
        raise problem
    return handle, False


async def _answer(call: Awaitable[T]) -> T:
    """Return Temporal's answer. Raises NotFound for a closed workflow, and Unavailable."""
    try:
        async with asyncio.timeout(WORKER_TIME.total_seconds()):
            return await call
    except TimeoutError:
        raise Unavailable(
            f"no worker answered within {WORKER_TIME.total_seconds():g} s; "
            "check that a worker runs (`tocsin worker`)"
        ) from None
    except WorkflowUpdateFailedError as error:
        raise NotFound("the debug session ended") from error
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise NotFound("the debug session is over") from error
        raise Unavailable("Temporal does not answer; try again") from error
    except (RuntimeError, OSError) as error:
        raise Unavailable("Temporal does not answer; try again") from error


async def _give_up(client: Client, session_id: str) -> None:
    """Terminate a session that no worker has begun."""
    try:
        async with asyncio.timeout(1):
            await client.get_workflow_handle(session_id).terminate("no worker answered in time")
    except (TimeoutError, RPCError, RuntimeError, OSError):
        return  # it ends by itself, once a worker is there, as no command comes


def _state_of(reply: DebugReply) -> DebugState:
    if reply.error is not None:
        raise reply.error.to_exception()
    if reply.state is None:
        message = "a reply holds a state or an error"
        raise AssertionError(message)
    return reply.state


async def _audit_start(rt: Runtime, given: DebugInput) -> None:
    context = given.run.run
    data = {
        "version": context.version,
        "playbook_digest": context.plan_digest,
        "session": context.run_id,
        "alert": given.alert_id,
    }
    async with rt.store.write() as session:
        await trail.record(
            session,
            EventKind.DEBUG_STARTED,
            actor=context.started_by,
            subject=context.playbook,
            data=data,
            now=rt.clock(),
        )
