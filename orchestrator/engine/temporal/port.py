"""The port onto Temporal: each wish of the interpreter becomes an activity, a timer or a wait for people."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ChildWorkflowError, is_cancelled_exception

from orchestrator.contracts.messages import (
    ActionCall,
    Activity,
    AnswerReply,
    ApplyReply,
    ApplyRequest,
    AskReply,
    AskRequest,
    BatchInput,
    BatchReply,
    Decision,
    EventsReply,
    EventsRequest,
    HoldRequest,
    PlanReply,
    PlanRequest,
    ReadReply,
    RollBackInput,
    RunContext,
    RunInput,
    StepRecord,
    StepRef,
    Undoable,
    UndoReply,
    UndoRequest,
    VerifyReply,
    VerifyRequest,
    Workflow,
)
from orchestrator.contracts.question import Question
from orchestrator.domain.change import Change
from orchestrator.domain.errors import Rejected
from orchestrator.domain.run import StepState
from orchestrator.engine.decide.scope import Place
from orchestrator.engine.temporal.activity_calls import (
    ACTION_TIME,
    BOOKKEEPING,
    RELEASING,
    changing,
    kept,
    quick,
    regular,
    retry_of,
    take_back,
    to_the_end,
)
from orchestrator.engine.temporal.inbox import Mail
from orchestrator.playbook.plan import Ask, ForEach, Use

MESSAGE_AT_MOST = 1_800_000
"""Bytes of one message; Temporal refuses 2 MiB."""
UNDONE_HERE = 50
"""Steps that are taken back in the run's own history."""
EVENTS_AT_MOST = 40_000
HISTORY_AT_MOST = 40_000_000
"""Events and bytes of a history; Temporal ends a run at some 50,000 and 50 MB."""


class TemporalPort:
    """One run's port. Applying and undoing are always seen to their end, also when the run is cancelled meanwhile."""

    def __init__(self, given: RunInput, mail: Mail, actor: str) -> None:
        self._given = given
        self._mail = mail
        self._actor = actor

    @property
    def run(self) -> RunContext:
        """Which run this is."""
        return self._given.run

    def now(self) -> datetime:
        """The workflow's clock."""
        return workflow.now()

    async def read(self, step: Use, call: ActionCall) -> dict[str, Any]:
        """A local activity while it is quick, a regular one when not."""
        self._goes_on()
        return (await quick(Activity.READ, call, ReadReply, step)).output

    async def plan(
        self, step: Use, call: ActionCall, *, lease: bool, hold: int | None
    ) -> PlanReply:
        """Recorded in history with the same task that schedules what follows, so before any apply; a lease is never lost sight of."""
        self._goes_on()
        request = PlanRequest(call=call, lease=lease, hold_seconds=hold)
        return await to_the_end(quick(Activity.PLAN, request, PlanReply, step))

    async def apply(
        self, step: Use, call: ActionCall, change: Change, approval_id: str | None
    ) -> ApplyReply:
        """A regular activity, awaited whatever happens. Raises Unknown when its worker died over it."""
        self._goes_on()
        request = ApplyRequest(call=call, change=change, approval_id=approval_id)
        return await to_the_end(changing(Activity.APPLY, request, ApplyReply, retry_of(step.retry)))

    async def verify(
        self, step: Use, call: ActionCall, change: Change, output: dict[str, Any]
    ) -> bool:
        """A read like any other. Raises Rejected when a person has released it meanwhile: then the device is right not to show it."""
        reply = await quick(
            Activity.VERIFY,
            VerifyRequest(call=call, change=change, output=output),
            VerifyReply,
            step,
        )
        if reply.released:
            raise Rejected(reply.detail)
        return reply.verified

    async def hold(self, ref: StepRef, containment_key: str, seconds: int | None) -> None:
        """The containment is watched, and its lease's clock runs, in a workflow of its own."""
        request = HoldRequest(ref=ref, containment_key=containment_key, seconds=seconds)
        await to_the_end(regular(Activity.HOLD, request, None, BOOKKEEPING))

    async def undo(self, path: str, reason: str) -> UndoReply:
        """Tried until it is done or the system refuses."""
        return await to_the_end(
            regular(Activity.UNDO, self._undo(path, reason), UndoReply, RELEASING, ACTION_TIME)
        )

    async def undo_all(self, paths: Sequence[str], reason: str) -> Sequence[UndoReply]:
        """Many in a child run, so that this history stays short."""
        if len(paths) <= UNDONE_HERE:
            return await to_the_end(take_back([self._undo(path, reason) for path in paths]))
        given = RollBackInput(
            run_id=self.run.run_id, paths=tuple(paths), reason=reason, actor=self._actor
        )
        name = f"{workflow.info().workflow_id}/roll_back/{paths[0]}"
        child = workflow.execute_child_workflow(
            Workflow.ROLL_BACK, given, id=name, result_type=list[UndoReply]
        )
        return await to_the_end(child)

    async def to_undo(self) -> Sequence[Undoable]:
        """From the store, which is the truth about effects."""
        return await kept(Activity.TO_UNDO, self.run, list[Undoable])

    async def ask_change(
        self, ref: StepRef, question: str, changes: Sequence[Change], asked: Question
    ) -> Decision:
        """The question goes to the store, and so does the answer; an update says when to look."""
        self._goes_on()
        request = AskRequest(
            ref=ref,
            kind="change",
            question=question,
            changes=tuple(changes),
            by=asked.by,
            quorum=asked.quorum,
            within=asked.within,
            reasons=asked.reasons,
            escalated=asked.escalated,
            level=asked.level,
            replaces=asked.replaces,
        )
        return await self._asked(request)

    async def ask_form(self, ref: StepRef, question: str, step: Ask) -> Decision:
        """As for changes, with a form."""
        self._goes_on()
        return await self._asked(
            AskRequest(
                ref=ref,
                kind="form",
                question=question,
                form=step.form,
                by=step.by,
                within=step.within,
            )
        )

    async def events(self, since: datetime) -> Sequence[dict[str, Any]]:
        """From the store."""
        self._goes_on()
        return (
            await kept(Activity.EVENTS, EventsRequest(run=self.run, since=since), EventsReply)
        ).alerts

    async def nudged(self, seconds: float) -> None:
        """Until a signal says that an alert has come."""
        self._goes_on()
        seen = self._mail.nudges
        try:
            await workflow.wait_condition(
                lambda: self._mail.nudges > seen, timeout=timedelta(seconds=seconds)
            )
        except TimeoutError:
            return

    async def sleep(self, seconds: int) -> None:
        """A durable timer."""
        self._goes_on()
        if seconds > 0:
            await workflow.sleep(timedelta(seconds=seconds))

    async def note(
        self,
        ref: StepRef,
        kind: str,
        state: StepState,
        *,
        result: Any = None,
        error: str | None = None,
        inputs: Any = None,
        asked: dict[str, Any] | None = None,
    ) -> None:
        """One record, in a local activity."""
        record = StepRecord(
            ref=ref, kind=kind, state=state, result=result, error=error, inputs=inputs, asked=asked
        )
        await kept(Activity.RECORD, [record], None)

    async def batch(
        self, ref: StepRef, step: ForEach, first: int, items: list[Any], place: Place, next_seq: int
    ) -> BatchReply:
        """A child run, so that this history grows by a few events a hundred items."""
        self._goes_on()
        given = self._slice(ref, step, first, items, place, next_seq)
        if (size := len(given.model_dump_json())) > MESSAGE_AT_MOST:
            raise Rejected(
                f"what items {first} to {first + len(items) - 1} need to know has {size} bytes, more than {MESSAGE_AT_MOST}"
            )
        try:
            reply: BatchReply = await workflow.execute_child_workflow(
                Workflow.BATCH,
                given,
                id=f"{workflow.info().workflow_id}/{ref.path}/{first}",
                result_type=BatchReply,
            )
        except ChildWorkflowError as error:
            if is_cancelled_exception(error):
                raise asyncio.CancelledError from error
            raise Rejected(
                f"items {first} to {first + len(items) - 1}: {error.cause or error}"
            ) from error
        return reply

    def _slice(
        self, ref: StepRef, step: ForEach, first: int, items: list[Any], place: Place, next_seq: int
    ) -> BatchInput:
        """With no more of the run than the slice needs: of its plan nothing, as the step is there."""
        whole, cover = self._given, place.cover
        carried = {
            path: result
            for path, result in whole.carried.items()
            if path.startswith(f"{ref.path}[")
        }
        plan = whole.plan.model_copy(update={"steps": (), "on_failure": "stop", "trigger": None})
        return BatchInput(
            run=whole.model_copy(
                update={"plan": plan, "carried": carried, "alert": None, "inputs": {}}
            ),
            step=step,
            first=first,
            items=items,
            names=dict(place.names),
            steps=place.steps,
            prefix=place.prefix,
            question=cover.question if cover else None,
            approved=dict(cover.approved) if cover else {},
            declined=tuple(sorted(cover.declined)) if cover else (),
            next_seq=next_seq,
        )

    def _undo(self, path: str, reason: str) -> UndoRequest:
        return UndoRequest(run_id=self.run.run_id, path=path, reason=reason, actor=self._actor)

    async def _asked(self, request: AskRequest) -> Decision:
        if (size := len(request.model_dump_json())) > MESSAGE_AT_MOST:
            raise Rejected(
                f"the question has {size} bytes, more than {MESSAGE_AT_MOST}; approve smaller groups"
            )
        with self._mail.asking():
            reply = await regular(Activity.ASK, request, AskReply, BOOKKEEPING)
            self._mail.asked.add(reply.approval_id)
        return await self._decided(reply)

    async def _decided(self, asked: AskReply) -> Decision:
        """As the store has it: a word that came past the store is heard, looked into, and forgotten."""
        heard, id_ = self._mail.heard, asked.approval_id
        while True:
            self._goes_on()  # meanwhile the run may have been cancelled, and the task that waited not have heard of it
            left = (asked.expires_at - workflow.now()).total_seconds()
            try:
                await workflow.wait_condition(
                    lambda: id_ in heard, timeout=timedelta(seconds=max(left, 0.001))
                )
            except TimeoutError:
                return await regular(Activity.CLOSE_APPROVAL, id_, Decision, BOOKKEEPING)
            heard.discard(
                id_
            )  # before the look, so that a word that comes meanwhile is looked into too
            if (
                decision := (await kept(Activity.READ_ANSWER, id_, AnswerReply)).decision
            ) is not None:
                return decision

    def _goes_on(self) -> None:
        """Before anything is begun; taking back goes on. Raises CancelledError, and Rejected before the server would end the run."""
        if self._mail.stopped:
            raise asyncio.CancelledError
        _not_too_long()


def _not_too_long() -> None:
    """Raises Rejected."""
    about = workflow.info()
    if (
        about.get_current_history_length() > EVENTS_AT_MOST
        or about.get_current_history_size() > HISTORY_AT_MOST
    ):
        raise Rejected(
            "the run has done so much that its history is full; split the playbook with a long `for_each`, or in two"
        )
