"""What a playbook does, step by step: the deciding part of a run, over a port, the same in a run and in a rehearsal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from orchestrator.domain.errors import Halted, Rejected, TocsinError
from orchestrator.domain.receipt import Change
from orchestrator.domain.run import Mode, RunStatus, StepState
from orchestrator.engine import pipeline
from orchestrator.engine.contracts import ActionCall, RunInput, RunResult, StepRef
from orchestrator.engine.pipeline import Question
from orchestrator.engine.port import Port
from orchestrator.engine.scope import Declined, Place, Refused, StepFailed
from orchestrator.playbook.durations import duration
from orchestrator.playbook.expressions import condition, evaluate, evaluate_text
from orchestrator.playbook.plan import AnyStep, Ask, Call, Choose, ForEach, Parallel, Plan, Repeat, Use, Wait
from orchestrator.playbook.results import flat_ids

T = TypeVar("T")

BATCH = 100
"""Items of a `for_each` that share one history."""
POLL_SECONDS = 60


class Interpreter:
    """One run of one plan. `carried`: results of steps that an earlier attempt finished, by path."""

    def __init__(self, port: Port, run: RunInput) -> None:
        self._port = port
        self._run = run
        self._seq = run.next_seq

    @property
    def next_seq(self) -> int:
        """The number that the next step gets."""
        return self._seq

    async def whole(self) -> RunResult:
        """The plan from its first step to its end, what is taken back included. Cancellation passes through."""
        plan = self._run.plan
        place = Place(names=self._names(), steps={})
        try:
            await self.steps(plan.steps, place)
        except TocsinError as error:
            return await self._failed(plan, place, error)
        return RunResult(status=RunStatus.COMPLETED, steps=self._seq - 1)

    async def steps(self, steps: Sequence[AnyStep], place: Place) -> None:
        """One after the other; results go to `place.steps`."""
        for name in flat_ids(steps):
            place.steps.setdefault(name, None)
        for step in steps:
            place.steps[step.id] = await self._step(step, place)

    async def items(self, step: ForEach, first: int, items: Sequence[Any], place: Place) -> list[dict[str, Any]]:
        """Some items of a `for_each`, at most `at_once` at a time, in the order of the items."""
        gate = asyncio.Semaphore(step.at_once)

        async def one(index: int, item: Any) -> dict[str, Any]:
            inner = place.item(f"{step.id}[{index}]", step.name, item)
            names = set(flat_ids(step.steps))
            async with gate:
                try:
                    await self.steps(step.steps, inner)
                except TocsinError as error:
                    return {"item": item, "ok": False, "error": str(error), "steps": {name: inner.steps.get(name) for name in names}}
            return {"item": item, "ok": True, "error": None, "steps": {name: inner.steps.get(name) for name in names}}

        return await _all([one(first + offset, item) for offset, item in enumerate(items)])

    async def roll_back(self, reason: str) -> list[str]:
        """Newest first, only what we changed, until nothing is left; what could not be taken back, as sentences."""
        problems: dict[str, str] = {}
        while due := [each for each in await self._port.to_undo() if each.path not in problems]:
            for each in due:
                try:
                    reply = await self._port.undo(each.path, reason)
                except TocsinError as error:
                    problems[each.path] = f"{each.path} could not be taken back: {error}"
                    continue
                problems[each.path] = f"{each.path} could not be taken back: {reply.detail}" if reply.outcome == "stuck" else ""
        return [problem for problem in problems.values() if problem]

    def _names(self) -> dict[str, Any]:
        run = self._run.run
        about = {"id": run.run_id, "mode": run.mode.value, "playbook": run.playbook, "version": run.version}
        return {"alert": self._run.alert, "inputs": self._run.inputs, "run": {**about, "started_at": self._run.started_at.isoformat()}}

    async def _failed(self, plan: Plan, place: Place, error: TocsinError) -> RunResult:
        status = RunStatus.DECLINED if _is(error, Declined) else RunStatus.FAILED
        text = str(error)
        match plan.on_failure:
            case "stop":
                pass
            case "roll_back":
                problems = await self.roll_back("the run failed" if status is RunStatus.FAILED else "the run was declined")
                text = "; ".join([text, *problems])
                status = RunStatus.ROLLED_BACK if status is RunStatus.FAILED and not problems else status
            case steps:
                try:
                    await self.steps(steps, place.within("on_failure"))
                except TocsinError as again:
                    text = f"{text}; and on_failure: {again}"
        return RunResult(status=status, error=text, steps=self._seq - 1)

    async def _step(self, step: AnyStep, place: Place) -> Any:
        path = place.path(step.id)
        if path in self._run.carried:
            return self._run.carried[path]
        ref = self._ref(path)
        try:
            if step.when is not None and not condition(step.when, place.scope()):
                await self._port.note(ref, step.kind, StepState.SKIPPED)
                return None
            return await self._timed(step, ref, place)
        except (Declined, Refused, StepFailed) as error:
            return await self._otherwise(step, ref, place, error)
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
            async with asyncio.timeout(step.timeout):
                return await self._do(step, ref, place)
        except TimeoutError:
            raise StepFailed(ref.path, f"it took longer than its timeout of {step.timeout} s") from None

    async def _otherwise(self, step: AnyStep, ref: StepRef, place: Place, error: TocsinError) -> Any:
        """A person's no, and the policy's, end the run unless the author handles them like any other failure."""
        state = StepState.DECLINED if _is(error, Declined) else StepState.REFUSED if _is(error, Refused) else StepState.FAILED
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
                return await self._noted(step, ref, self._wait(step, place))
            case Call():
                return await self._noted(step, ref, self._call(step, place))
        place = await self._covered(step, ref, place)
        match step:
            case Parallel():
                return await self._noted(step, ref, self._parallel(step, place))
            case ForEach():
                return await self._noted(step, ref, self._for_each(step, ref, place))
            case Choose():
                return await self._noted(step, ref, self._choose(step, place))
            case Repeat():
                return await self._noted(step, ref, self._repeat(step, place))

    async def _noted(self, step: AnyStep, ref: StepRef, work: Awaitable[Any]) -> Any:
        result = await work
        await self._port.note(ref, step.kind, StepState.DONE, result=result)
        return result

    async def _use(self, step: Use, ref: StepRef, place: Place) -> Any:
        call = self._call_of(step, ref, place)
        if not step.effect.changes:
            return await self._port.read(step, call)
        hold = None if step.hold is None else duration(evaluate(step.hold, place.scope()))
        question = None
        if step.approve is not None and (step.approve.when is None or condition(step.approve.when, place.scope())):
            question = Question.of(step.approve, evaluate_text(step.approve.question, place.scope()))
        return await pipeline.change(self._port, step, call, place, question, hold)

    def _call_of(self, step: Use, ref: StepRef, place: Place) -> ActionCall:
        given = evaluate(step.inputs, place.scope())
        if not isinstance(given, Mapping):
            raise Rejected("its inputs are not an object")
        return ActionCall(
            ref=ref, connection=step.connection, capability=step.capability, action=step.action, effect=step.effect, input=dict(given)
        )

    async def _covered(self, step: AnyStep, ref: StepRef, place: Place) -> Place:
        """After a group's approval: the changes that people agreed with, and those they left out."""
        approve = step.approve
        if approve is None or self._port.run.mode is Mode.DRY_RUN or not (approve.when is None or condition(approve.when, place.scope())):
            return place
        changes = [change for change in await self._foreseen(step, place) if change.changed]
        if not changes:
            return place
        question = Question.of(approve, evaluate_text(approve.question, place.scope()))
        decision = await pipeline.ask(self._port, ref, question, changes)
        chosen = dict.fromkeys(decision.approved_changes, decision.approval_id)
        left_out = frozenset(change.digest for change in changes if change.digest not in chosen)
        return Place(place.names, place.steps, place.prefix, {**(place.approved or {}), **chosen}, place.declined | left_out)

    async def _foreseen(self, step: AnyStep, place: Place) -> list[Change]:
        """The changes under a group whose inputs are known by now; the others are asked about when they come up."""
        found: list[Change] = []
        for use, inner in _uses(step, place):
            try:
                if use.when is not None and not condition(use.when, inner.scope()):
                    continue
                call = self._call_of(use, self._ref(inner.path(use.id)), inner)
            except TocsinError:
                continue  # it depends on a result that is not there yet
            planned = await self._port.plan(use, call, lease=False, hold=None)
            pipeline.not_denied(planned.judgement)  # nobody is asked about what the policy forbids
            found.append(planned.change)
        return found

    async def _parallel(self, step: Parallel, place: Place) -> dict[str, Any]:
        for name in flat_ids(step.steps):
            place.steps.setdefault(name, None)
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
            raise StepFailed(ref.path, f"{len(items)} items are more than at_most: {step.at_most}; nothing was done for any of them")
        if len(items) <= BATCH:
            done = await self.items(step, 0, items, place)
        else:
            done = []
            for first in range(0, len(items), BATCH):
                scope = {**place.names, "steps": place.steps, "prefix": place.prefix}
                done += await self._port.batch(ref, step, first, items[first : first + BATCH], scope, dict(place.approved or {}))
        failed = [each for each in done if not each["ok"]]
        result = {"count": len(done), "succeeded": len(done) - len(failed), "failed": len(failed), "items": done}
        if failed and step.on_error == "fail":
            raise StepFailed(ref.path, f"{len(failed)} of {len(done)} items failed; first: {failed[0]['error']}")
        return result

    async def _choose(self, step: Choose, place: Place) -> dict[str, Any]:
        for index, branch in enumerate(step.branches):
            if condition(branch.when, place.scope()):
                await self.steps(branch.steps, place.within(step.id))
                return {"branch": index}
        await self.steps(step.otherwise, place.within(step.id))
        return {"branch": None}

    async def _repeat(self, step: Repeat, place: Place) -> dict[str, Any]:
        for round_ in range(1, step.at_most + 1):
            await self.steps(step.steps, place.within(f"{step.id}[{round_}]"))
            if condition(step.until, place.scope()):
                return {"rounds": round_, "met": True}
            if round_ < step.at_most:
                await self._port.sleep(step.every)
        return {"rounds": step.at_most, "met": False}

    async def _wait(self, step: Wait, place: Place) -> dict[str, Any]:
        if step.event is None:
            await self._port.sleep(duration(evaluate(step.seconds, place.scope())))
            return {"waited": True, "event": None}
        event = await self._event(step.event, step.within or 0, place)
        if event is None and step.otherwise == "fail":
            raise Rejected(f"no alert that fits came within {step.within} s")
        return {"waited": event is not None, "event": event}

    async def _event(self, fits: str, within: int, place: Place) -> dict[str, Any] | None:
        since = self._port.now()
        deadline = since + timedelta(seconds=within)
        while True:
            for alert in await self._port.events(since):
                if _fits(fits, place.scope(event=alert)):
                    return dict(alert)
            left = (deadline - self._port.now()).total_seconds()
            if left <= 0:
                return None
            await self._port.nudged(min(left, POLL_SECONDS))

    async def _ask(self, step: Ask, ref: StepRef, place: Place) -> Any:
        decision = await self._port.ask_form(ref, evaluate_text(step.question, place.scope()), step)
        if decision.state == "approved":
            answers = {name: (decision.form or {}).get(name) for name in step.form}
            await self._port.note(ref, "ask", StepState.DONE, result=answers)
            return answers
        if step.otherwise == "continue":
            await self._port.note(ref, "ask", StepState.DONE)
            return None
        raise Declined("nobody answered in time" if decision.state == "expired" else f"declined by {', '.join(decision.by) or 'people'}")

    async def _call(self, step: Call, place: Place) -> dict[str, Any]:
        given = evaluate(step.inputs, place.scope())
        steps: dict[str, Any] = {}
        names = {**place.names, "alert": None, "inputs": given}
        inner = Place(names, steps, f"{place.prefix}{step.id}/", place.approved, place.declined)
        await self.steps(step.plan.steps, inner)
        return {"status": RunStatus.COMPLETED.value, "steps": steps}


def _uses(step: AnyStep, place: Place) -> list[tuple[Use, Place]]:
    match step:
        case Use():
            return [(step, place)] if step.effect.changes else []
        case Parallel():
            return [found for each in step.steps for found in _uses(each, place.within(step.id))]
        case ForEach():
            items = evaluate(step.items, place.scope())
            listed = items if isinstance(items, list) and len(items) <= step.at_most else []
            places = [place.item(f"{step.id}[{index}]", step.name, item) for index, item in enumerate(listed)]
            return [found for inner in places for each in step.steps for found in _uses(each, inner)]
        case Choose():
            for branch in step.branches:
                if condition(branch.when, place.scope()):
                    return [found for each in branch.steps for found in _uses(each, place.within(step.id))]
            return [found for each in step.otherwise for found in _uses(each, place.within(step.id))]
        case _:
            return []


def _fits(fits: str, scope: dict[str, Any]) -> bool:
    try:
        return condition(fits, scope)
    except TocsinError:
        return False  # an alert without the field is not the one that is waited for


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
