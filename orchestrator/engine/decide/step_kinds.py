"""What each kind of step does: the interpreter without the order and failures of a run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Iterable, Sequence
from typing import Any, assert_never

from orchestrator.contracts.approval import Question
from orchestrator.contracts.change import StepCall
from orchestrator.contracts.run import RunInput, StepRef
from orchestrator.domain.errors import TocsinError
from orchestrator.domain.run import Mode, RunStatus, StepState
from orchestrator.engine.decide.approvals import ForeseenCall, ask_for_form, ask_for_group
from orchestrator.engine.decide.change_pipeline import ChangePipeline, dry_run_change, hold_of
from orchestrator.engine.decide.for_each import (
    BATCH,
    evaluate_items,
    gather_all,
    run_items,
    summarize_items,
)
from orchestrator.engine.decide.foreseen_changes import (
    ForeseenChange,
    foreseen_changes,
    foreseen_changes_of_items,
)
from orchestrator.engine.decide.port import DryRunPort, LivePort
from orchestrator.engine.decide.questions import author_question, form_question
from orchestrator.engine.decide.result_limits import check_size, for_record
from orchestrator.engine.decide.rollback import roll_back
from orchestrator.engine.decide.scope import GroupApproval, StepFailed, StepScope
from orchestrator.engine.decide.waits import RunWaits
from orchestrator.playbook.compile.inputs import accept_inputs
from orchestrator.playbook.compile.results import flat_ids
from orchestrator.playbook.language.evaluate import (
    ExpressionError,
    evaluate,
    evaluate_condition,
)
from orchestrator.playbook.plan import (
    AnyStep,
    Approve,
    Ask,
    CallPlaybook,
    Choose,
    ForEach,
    Parallel,
    Plan,
    Repeat,
    Retry,
    Use,
    Wait,
)


class StepKinds(ABC):
    """The behaviour of each kind of step, in a run of one plan.

    Without a live port nothing is changed, asked or waited for.
    """

    def __init__(self, port: DryRunPort, run: RunInput, live: LivePort | None) -> None:
        self._port = port
        self._run = run
        self._seq = run.next_seq
        self._live = live if run.run.mode is Mode.LIVE else None
        self._waits = RunWaits(self._live, run.started_at) if self._live is not None else None

    @property
    def next_seq(self) -> int:
        """The number of the next step."""
        return self._seq

    @abstractmethod
    async def run_step(self, step: AnyStep, scope: StepScope) -> Any:
        """Return the step's result. Raise StepFailed when it failed and that fails the run."""

    async def run_steps(self, steps: Sequence[AnyStep], scope: StepScope) -> None:
        """Run steps in order. Results go to `scope.steps`, null for steps that do not run."""
        scope.steps.update(dict.fromkeys(flat_ids(steps)))
        for step in steps:
            scope.steps[step.id] = await self.run_step(step, scope)

    async def run_batch(
        self, step: ForEach, first: int, items: Sequence[Any], scope: StepScope
    ) -> list[dict[str, Any]]:
        """Run a slice of a long `for_each` under one approval; return the outcome of each item.

        Step results are null: they stand in the run's record.
        """
        ref = self._next_ref(scope.path(f"{step.id}[{first}+]"))
        foreseen = foreseen_changes_of_items(step, first, items, scope)
        approved = await self._approve_group(step, ref, scope, foreseen)
        outcomes = await run_items(self.run_steps, step, first, items, approved)
        names = flat_ids(step.steps)
        return [{**outcome, "steps": dict.fromkeys(names)} for outcome in outcomes]

    def _next_ref(self, path: str) -> StepRef:
        ref = StepRef(run=self._run.run, path=path, seq=self._seq)
        self._seq += 1
        return ref

    async def _run_kind(self, step: AnyStep, ref: StepRef, scope: StepScope) -> Any:
        if not isinstance(step, Use):  # the activity of an action records its beginning
            self._port.begin(ref, step.kind)
        match step:
            case Use():
                return check_size(step, ref, await self._use(step, ref, scope))
            case Ask():
                return await self._ask(step, ref, scope)
            case Wait():
                return await self._noted(step, ref, self._wait(step, ref, scope))
            case ForEach():
                return await self._noted(step, ref, self._for_each(step, ref, scope))
            case CallPlaybook() | Parallel() | Choose() | Repeat():
                foreseen = foreseen_changes(step, scope)
                inner = await self._approve_group(step, ref, scope, foreseen)
                return await self._noted(step, ref, self._run_block(step, ref, inner))
            case _:
                assert_never(step)

    async def _run_block(
        self, step: CallPlaybook | Parallel | Choose | Repeat, ref: StepRef, scope: StepScope
    ) -> Any:
        match step:
            case CallPlaybook():
                return await self._call(step, scope)
            case Parallel():
                return await self._parallel(step, scope)
            case Choose():
                return await self._choose(step, scope)
            case Repeat():
                return await self._repeat(step, ref, scope)
            case _:
                assert_never(step)

    async def _noted(self, step: AnyStep, ref: StepRef, work: Awaitable[Any]) -> Any:
        result = check_size(step, ref, await work)
        await self._port.note(ref, step.kind, StepState.DONE, result=for_record(result))
        return result

    async def _use(self, step: Use, ref: StepRef, scope: StepScope) -> Any:
        call = self._call_of(step, ref, scope)
        if not step.effect.changes:
            return await self._port.read(step, call)
        hold = hold_of(step, scope)
        question = self._question_of(step.approve, scope)
        if self._live is None:
            return await dry_run_change(self._port, step, call, scope, question, hold)
        return await ChangePipeline(self._live, step, call, scope, question, hold).run()

    def _call_of(self, step: Use, ref: StepRef, scope: StepScope) -> StepCall:
        return StepCall(
            ref=ref,
            connection=step.connection,
            capability=step.capability,
            action=step.action,
            effect=step.effect,
            input=dict(evaluate(step.inputs, scope.variables())),
            retry=step.retry or Retry(),
        )

    def _question_of(self, approve: Approve | None, scope: StepScope) -> Question | None:
        """Return what the author wants asked now.

        A dry run that cannot tell reports the question: it must not look as if no one is asked.
        """
        if approve is None:
            return None
        try:
            if approve.when is not None and not evaluate_condition(approve.when, scope.variables()):
                return None
            return author_question(approve, scope)
        except ExpressionError as error:
            if self._live is not None:
                raise
            return Question.from_author(approve, f"a dry run cannot tell: {error}")

    async def _approve_group(
        self, step: AnyStep, ref: StepRef, scope: StepScope, foreseen: Iterable[ForeseenChange]
    ) -> StepScope:
        """Return the scope inside a step, with its approval where it has one."""
        question = self._question_of(step.approve, scope)
        if question is None:
            return scope
        if self._live is None:  # each change records by itself who would be asked
            return scope.with_approval(GroupApproval(question, {}))
        return scope.with_approval(
            await ask_for_group(self._live, ref, scope, question, foreseen, self._foreseen_call)
        )

    def _foreseen_call(self, step: Use, scope: StepScope) -> ForeseenCall | None:
        path = scope.path(step.id)
        if path in self._run.carried:
            return None
        try:
            hold = hold_of(step, scope)
            return ForeseenCall(step, self._call_of(step, self._next_ref(path), scope), hold)
        except TocsinError:
            return None  # it depends on a result that does not exist yet

    async def _parallel(self, step: Parallel, scope: StepScope) -> dict[str, Any]:
        scope.steps.update(dict.fromkeys(flat_ids(step.steps)))
        inner = scope.inside(step.id)
        results = await gather_all([self.run_step(branch, inner) for branch in step.steps])
        result = {branch.id: value for branch, value in zip(step.steps, results, strict=True)}
        scope.steps.update(result)
        return result

    async def _for_each(self, step: ForEach, ref: StepRef, scope: StepScope) -> dict[str, Any]:
        items = evaluate_items(step, ref, scope)
        if len(items) <= BATCH:
            foreseen = foreseen_changes_of_items(step, 0, items, scope)
            approved = await self._approve_group(step, ref, scope, foreseen)
            return summarize_items(
                step, ref, await run_items(self.run_steps, step, 0, items, approved)
            )
        outcomes: list[dict[str, Any]] = []
        for first in range(0, len(items), BATCH):
            batch = items[first : first + BATCH]
            reply = await self._port.batch(ref, step, first, batch, scope, self._seq)
            self._seq = max(self._seq, reply.next_seq)
            outcomes += reply.items
        return summarize_items(step, ref, outcomes)

    async def _choose(self, step: Choose, scope: StepScope) -> dict[str, Any]:
        for index, branch in enumerate(step.branches):
            if evaluate_condition(branch.when, scope.variables()):
                await self.run_steps(branch.steps, scope.inside(step.id))
                return {"branch": index}
        await self.run_steps(step.otherwise, scope.inside(step.id))
        return {"branch": None}

    async def _repeat(self, step: Repeat, ref: StepRef, scope: StepScope) -> dict[str, Any]:
        over = scope.path(step.id) in self._run.carried
        for round_ in range(1, step.at_most + 1):
            await self.run_steps(step.steps, scope.inside(f"{step.id}[{round_}]"))
            if evaluate_condition(step.until, scope.variables()):
                return {"rounds": round_, "met": True}
            if round_ < step.at_most and not over and self._waits is not None and step.every:
                await self._waits.pause(step.kind, ref, step.every)
                self._port.begin(ref, step.kind)
        return {"rounds": step.at_most, "met": False}

    async def _wait(self, step: Wait, ref: StepRef, scope: StepScope) -> dict[str, Any]:
        if self._live is None or self._waits is None:
            return {"waited": step.event is None, "event": None}
        return await self._waits.wait(step, ref, scope)

    async def _ask(self, step: Ask, ref: StepRef, scope: StepScope) -> Any:
        if self._live is None:
            return await self._dry_run_ask(step, ref, scope)
        question = form_question(step, scope)
        answers = await ask_for_form(self._live, ref, step, question)
        await self._port.note(ref, step.kind, StepState.DONE, result=answers)
        return answers

    async def _dry_run_ask(self, step: Ask, ref: StepRef, scope: StepScope) -> dict[str, Any]:
        try:
            question = form_question(step, scope)
        except ExpressionError as error:
            text = f"a dry run cannot tell: {error}"
            question = Question(text=text, by=step.by, within=step.within)
        asked = question.summary("form")
        reason = "a dry run asks no one"
        await self._port.note(ref, step.kind, StepState.SKIPPED, error=reason, asked=asked)
        return dict.fromkeys(step.form)

    async def _call(self, step: CallPlaybook, scope: StepScope) -> dict[str, Any]:
        inputs = accept_inputs(step.plan.inputs, evaluate(step.inputs, scope.variables()))
        inner = scope.for_call(step.id, inputs)
        try:
            await self.run_steps(step.plan.steps, inner)
        except StepFailed as error:
            reason = f"the called {step.plan.playbook} failed"
            problems = await self._run_on_failure(step.plan, inner, reason)
            if problems:
                text = "; ".join([str(error), *problems])
                raise StepFailed(error.path, text, error.failure) from error
            raise
        return {"status": RunStatus.COMPLETED.value, "steps": inner.steps}

    async def _run_on_failure(self, plan: Plan, scope: StepScope, reason: str) -> list[str]:
        """Do what the author wants after a failure in these steps; return what went wrong."""
        match plan.on_failure:
            case "stop":
                return []
            case "roll_back":
                return (
                    [] if self._live is None else await roll_back(self._live, reason, scope.prefix)
                )
            case steps:
                try:
                    await self.run_steps(steps, scope.inside("on_failure"))
                except TocsinError as error:
                    return [f"and on_failure: {error}"]
                return []
