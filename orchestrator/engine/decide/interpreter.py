"""What a playbook does, step by step: the deciding part of a run, over a port, the same in a run and in a rehearsal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator, Sequence
from typing import Any, TypeVar

from orchestrator.contracts.messages import ActionCall, RunInput, RunResult, StepRef
from orchestrator.contracts.question import Question
from orchestrator.domain.errors import Halted, Rejected, TocsinError
from orchestrator.domain.run import Mode, RunStatus, StepState
from orchestrator.engine.decide import change_pipeline, event_wait, group_approval
from orchestrator.engine.decide.port import Port
from orchestrator.engine.decide.result_limits import bounded, recorded
from orchestrator.engine.decide.rollback import roll_back
from orchestrator.engine.decide.scope import Cover, Declined, LeftOut, Place, Refused, StepFailed
from orchestrator.engine.decide.timeouts import Limit
from orchestrator.playbook.compile.inputs import accept
from orchestrator.playbook.compile.results import flat_ids
from orchestrator.playbook.language.durations import duration
from orchestrator.playbook.language.evaluate import (
    ExpressionError,
    condition,
    evaluate,
    evaluate_text,
)
from orchestrator.playbook.plan import (
    AnyStep,
    Approve,
    Ask,
    Call,
    Choose,
    ForEach,
    Parallel,
    Plan,
    Repeat,
    Use,
    Wait,
)

T = TypeVar("T")

BATCH = 100
"""Items of a `for_each` that share one history."""


class Interpreter:
    """One run of one plan. `carried`: results of steps that an earlier attempt finished, by path."""

    def __init__(self, port: Port, run: RunInput) -> None:
        self._port = port
        self._run = run
        self._seq = run.next_seq
        self._waiting = event_wait.Waiting(port, run.started_at)
        self._dry = port.run.mode is Mode.DRY_RUN

    @property
    def next_seq(self) -> int:
        """The number that the next step gets."""
        return self._seq

    async def whole(self) -> RunResult:
        """The plan from its first step to its end, what is taken back included. Cancellation passes through."""
        plan, place = self._run.plan, Place(names=self._names(), steps={})
        try:
            await self.steps(plan.steps, place)
        except TocsinError as error:
            declined = _is(error, Declined)
            problems = await self._after_failure(
                plan, place, "the run was declined" if declined else "the run failed"
            )
            back = (
                plan.on_failure == "roll_back" and not declined and not problems and not self._dry
            )
            status = (
                RunStatus.DECLINED
                if declined
                else RunStatus.ROLLED_BACK
                if back
                else RunStatus.FAILED
            )
            return RunResult(
                status=status, error="; ".join([str(error), *problems]), steps=self._seq - 1
            )
        return RunResult(status=RunStatus.COMPLETED, steps=self._seq - 1)

    async def steps(self, steps: Sequence[AnyStep], place: Place) -> None:
        """One after the other; results go to `place.steps`, null for those that do not run."""
        place.steps.update(dict.fromkeys(flat_ids(steps)))
        for step in steps:
            place.steps[step.id] = await self._step(step, place)

    async def items(
        self, step: ForEach, first: int, items: Sequence[Any], place: Place
    ) -> list[dict[str, Any]]:
        """Some items of a `for_each`, at most `at_once` at a time, in the order of the items. `declined`: a person's no ended it."""
        gate = asyncio.Semaphore(step.at_once)

        async def one(index: int, item: Any) -> dict[str, Any]:
            inner, error = place.item(f"{step.id}[{index}]", step.name, item), None
            async with gate:
                try:
                    await self.steps(step.steps, inner)
                except TocsinError as failed:
                    error = failed
            results = {name: inner.steps.get(name) for name in flat_ids(step.steps)}
            return {
                "item": item,
                "ok": error is None,
                "error": error and str(error),
                "steps": results,
                "declined": _is(error, Declined),
            }

        return await _all([one(first + offset, item) for offset, item in enumerate(items)])

    async def slice(
        self, step: ForEach, first: int, items: Sequence[Any], place: Place
    ) -> list[dict[str, Any]]:
        """Some items of a long `for_each`, asked about together. Results of steps are null: they stand in the run's record."""
        ref = self._ref(place.path(f"{step.id}[{first}+]"))
        covered = await self._covered(
            step, ref, place, group_approval.foreseen_items(step, first, items, place)
        )
        names = flat_ids(step.steps)
        return [
            {**each, "steps": dict.fromkeys(names)}
            for each in await self.items(step, first, items, covered)
        ]

    def _names(self) -> dict[str, Any]:
        run = self._run.run
        about = {
            "id": run.run_id,
            "mode": run.mode.value,
            "playbook": run.playbook,
            "version": run.version,
        }
        return {
            "alert": self._run.alert,
            "inputs": self._run.inputs,
            "run": {**about, "started_at": self._run.started_at.isoformat()},
        }

    async def _after_failure(self, plan: Plan, place: Place, reason: str) -> list[str]:
        """What the author wants done after a failure in these steps; what went wrong with it, as sentences."""
        match plan.on_failure:
            case "stop":
                return []
            case "roll_back":
                return [] if self._dry else await roll_back(self._port, reason, place.prefix)
            case steps:
                try:
                    await self.steps(steps, place.within("on_failure"))
                except TocsinError as error:
                    return [f"and on_failure: {error}"]
                return []

    async def _step(self, step: AnyStep, place: Place) -> Any:
        path = place.path(step.id)
        carried = self._run.carried.get(path)
        if path in self._run.carried and (
            carried is None or not isinstance(step, Parallel | Choose | Repeat)
        ):
            return carried  # of a block, the steps inside of it are carried one by one, as they are seen too
        ref = self._ref(path)
        try:
            if step.when is not None and not condition(step.when, place.scope()):
                await self._port.note(ref, step.kind, StepState.SKIPPED)
                return None
            return await self._timed(step, ref, place)
        except LeftOut as error:
            await self._port.note(ref, step.kind, StepState.DECLINED, error=str(error))
            return None
        except (Declined, Refused, StepFailed) as error:
            return await self._otherwise(step, ref, place, error)
        except ExpressionError as error:
            if self._dry:
                await self._port.note(
                    ref, step.kind, StepState.SKIPPED, error=f"a dry run cannot tell: {error}"
                )
                return None
            return await self._otherwise(step, ref, place, StepFailed(path, str(error)))
        except TocsinError as error:
            return await self._otherwise(step, ref, place, StepFailed(path, str(error)))

    def _ref(self, path: str) -> StepRef:
        ref = StepRef(run=self._run.run, path=path, seq=self._seq)
        self._seq += 1
        return ref

    async def _timed(self, step: AnyStep, ref: StepRef, place: Place) -> Any:
        if step.timeout is None:
            return await self._do(step, ref, place)
        try:
            async with Limit.of(step.timeout) as limit:
                return await self._do(step, ref, place.limited(limit))
        except TimeoutError:
            raise StepFailed(
                ref.path, f"it took longer than its timeout of {step.timeout} s"
            ) from None

    async def _otherwise(
        self, step: AnyStep, ref: StepRef, place: Place, error: TocsinError
    ) -> Any:
        """A person's no, and the policy's, end the run unless the author handles them like any other failure."""
        state = (
            StepState.DECLINED
            if _is(error, Declined)
            else StepState.REFUSED
            if _is(error, Refused)
            else StepState.FAILED
        )
        await self._port.note(ref, step.kind, state, error=str(error))
        match step.on_error:
            case "fail":
                if isinstance(error, StepFailed):
                    raise error
                raise StepFailed(ref.path, str(error)) from error
            case "continue":
                return None
            case steps:
                await self.steps(steps, place.within(f"{step.id}:on_error"))
                return None

    async def _do(self, step: AnyStep, ref: StepRef, place: Place) -> Any:
        match step:
            case Use():
                return await self._use(step, ref, place)
            case Ask():
                return await self._ask(step, ref, place)
            case Wait():
                return await self._noted(step, ref, self._wait(step, ref, place))
            case ForEach():
                return await self._noted(step, ref, self._for_each(step, ref, place))
        place = await self._covered(step, ref, place, group_approval.foreseen(step, place))
        match step:
            case Call():
                return await self._noted(step, ref, self._call(step, place))
            case Parallel():
                return await self._noted(step, ref, self._parallel(step, place))
            case Choose():
                return await self._noted(step, ref, self._choose(step, place))
            case Repeat():
                return await self._noted(step, ref, self._repeat(step, place))

    async def _noted(self, step: AnyStep, ref: StepRef, work: Awaitable[Any]) -> Any:
        result = await work
        await self._port.note(
            ref, step.kind, StepState.DONE, result=recorded(bounded(step, ref, result))
        )
        return result

    async def _use(self, step: Use, ref: StepRef, place: Place) -> Any:
        call = self._call_of(step, ref, place)
        if not step.effect.changes:
            return bounded(step, ref, await self._port.read(step, call))
        hold = None if step.hold is None else duration(evaluate(step.hold, place.scope()))
        question = self._question(step.approve, place)
        return bounded(
            step, ref, await change_pipeline.change(self._port, step, call, place, question, hold)
        )

    def _question(self, approve: Approve | None, place: Place) -> Question | None:
        """What the author wants asked now. A dry run that cannot tell asks: it must not look as if nobody were."""
        if approve is None:
            return None
        try:
            if approve.when is not None and not condition(approve.when, place.scope()):
                return None
            return Question.of(approve, evaluate_text(approve.question, place.scope()))
        except ExpressionError as error:
            if not self._dry:
                raise
            return Question.of(approve, f"a dry run cannot tell: {error}")

    def _call_of(self, step: Use, ref: StepRef, place: Place) -> ActionCall:
        given = evaluate(step.inputs, place.scope())
        return ActionCall(
            ref=ref,
            connection=step.connection,
            capability=step.capability,
            action=step.action,
            effect=step.effect,
            input=dict(given),
        )

    async def _covered(
        self, step: AnyStep, ref: StepRef, place: Place, found: Iterator[group_approval.Found]
    ) -> Place:
        """After a group's approval, where it has one: people have seen all changes that can be told before."""
        question = self._question(step.approve, place)
        if question is None:
            return place
        if self._dry:  # each change tells by itself that it would be asked about
            return place.covered(Cover(question, {}))
        return place.covered(
            await group_approval.asked(self._port, ref, place, question, found, self._foreseen_call)
        )

    def _foreseen_call(self, step: Use, place: Place) -> ActionCall | None:
        path = place.path(step.id)
        if path in self._run.carried:
            return None
        try:
            return self._call_of(step, self._ref(path), place)
        except TocsinError:
            return None  # it depends on a result that is not there yet

    async def _parallel(self, step: Parallel, place: Place) -> dict[str, Any]:
        place.steps.update(dict.fromkeys(flat_ids(step.steps)))
        inner = place.within(step.id)
        results = await _all([self._step(branch, inner) for branch in step.steps])
        result = {branch.id: value for branch, value in zip(step.steps, results, strict=True)}
        place.steps.update(result)
        return result

    async def _for_each(self, step: ForEach, ref: StepRef, place: Place) -> dict[str, Any]:
        items = evaluate(step.items, place.scope())
        if not isinstance(items, list):
            raise StepFailed(ref.path, "for_each needs a list")
        if len(items) > step.at_most:
            raise StepFailed(
                ref.path,
                f"{len(items)} items are more than at_most: {step.at_most}; nothing was done for any of them",
            )
        if len(items) <= BATCH:
            found = group_approval.foreseen_items(step, 0, items, place)
            done = await self.items(step, 0, items, await self._covered(step, ref, place, found))
        else:
            done = []
            for first in range(0, len(items), BATCH):
                reply = await self._port.batch(
                    ref, step, first, items[first : first + BATCH], place, self._seq
                )
                self._seq = max(self._seq, reply.next_seq)
                done += reply.items
        declined = sum(each.pop("declined") for each in done)
        failed = [each for each in done if not each["ok"]]
        if failed and step.on_error == "fail":
            problem = StepFailed(
                ref.path, f"{len(failed)} of {len(done)} items failed; first: {failed[0]['error']}"
            )
            raise problem from (Declined("an item was declined") if declined else None)
        return {
            "count": len(done),
            "succeeded": len(done) - len(failed),
            "failed": len(failed),
            "items": done,
        }

    async def _choose(self, step: Choose, place: Place) -> dict[str, Any]:
        for index, branch in enumerate(step.branches):
            if condition(branch.when, place.scope()):
                await self.steps(branch.steps, place.within(step.id))
                return {"branch": index}
        await self.steps(step.otherwise, place.within(step.id))
        return {"branch": None}

    async def _repeat(self, step: Repeat, place: Place) -> dict[str, Any]:
        over = place.path(step.id) in self._run.carried
        for round_ in range(1, step.at_most + 1):
            await self.steps(step.steps, place.within(f"{step.id}[{round_}]"))
            if condition(step.until, place.scope()):
                return {"rounds": round_, "met": True}
            if round_ < step.at_most and not over and not self._dry:
                await self._port.sleep(step.every)
        return {"rounds": step.at_most, "met": False}

    async def _wait(self, step: Wait, ref: StepRef, place: Place) -> dict[str, Any]:
        if self._dry:
            return {"waited": step.event is None, "event": None}
        await self._port.note(ref, step.kind, StepState.WAITING)
        if step.event is None:
            await self._port.sleep(duration(evaluate(step.seconds, place.scope())))
            return {"waited": True, "event": None}
        event = await self._waiting.event(step.event, step.within or 0, place)
        if event is None and step.otherwise == "fail":
            raise Rejected(f"no alert that fits came within {step.within} s")
        return {"waited": event is not None, "event": event}

    async def _ask(self, step: Ask, ref: StepRef, place: Place) -> Any:
        nothing = dict.fromkeys(step.form)
        if self._dry:
            asked = Question(text=self._text(step.question, place), by=step.by, within=step.within)
            await self._port.note(
                ref,
                "ask",
                StepState.SKIPPED,
                error="a dry run asks nobody",
                asked=asked.told("form"),
            )
            return nothing
        decision = await self._port.ask_form(ref, evaluate_text(step.question, place.scope()), step)
        if decision.state == "approved":
            answers = {name: (decision.form or {}).get(name) for name in nothing}
            await self._port.note(ref, "ask", StepState.DONE, result=answers)
            return answers
        if step.otherwise == "continue":
            await self._port.note(ref, "ask", StepState.DONE)
            return None
        raise Declined(
            "nobody answered in time"
            if decision.state == "expired"
            else f"declined by {', '.join(decision.by) or 'people'}"
        )

    def _text(self, template: str, place: Place) -> str:
        """Of a dry run."""
        try:
            return evaluate_text(template, place.scope())
        except ExpressionError as error:
            return f"a dry run cannot tell: {error}"

    async def _call(self, step: Call, place: Place) -> dict[str, Any]:
        inner = place.called(
            step.id, accept(step.plan.inputs, evaluate(step.inputs, place.scope()))
        )
        try:
            await self.steps(step.plan.steps, inner)
        except StepFailed as error:
            problems = await self._after_failure(
                step.plan, inner, f"the called {step.plan.playbook} failed"
            )
            if problems:
                raise StepFailed(error.path, "; ".join([str(error), *problems])) from error
            raise
        return {"status": RunStatus.COMPLETED.value, "steps": inner.steps}


def _is(error: BaseException | None, kind: type[Halted]) -> bool:
    while error is not None:
        if isinstance(error, kind):
            return True
        error = error.__cause__
    return False


async def _all(works: Sequence[Awaitable[T]]) -> list[T]:
    """All of them, to their end, before the first error is raised: nothing may still run while it is rolled back."""
    results = await asyncio.gather(*works, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]
