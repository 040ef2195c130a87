"""How each kind of step is checked and compiled: what it sees, what it becomes, what later steps see of it."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from orchestrator.domain.change import Effect
from orchestrator.playbook import plan
from orchestrator.playbook.catalogue import ActionType, Catalogue
from orchestrator.playbook.compile import results
from orchestrator.playbook.compile.diagnostics import Report
from orchestrator.playbook.compile.expression_checks import Checks, Known
from orchestrator.playbook.compile.inputs import schema_of
from orchestrator.playbook.language.types import (
    ANY,
    NUMBER,
    STRING,
    ObjectOf,
    Type,
    alert_type,
    from_schema,
    nullable,
    union,
)
from orchestrator.playbook.language.yaml import Path
from orchestrator.playbook.schema import steps as written

MAX_STEPS = 500  # with those of called playbooks
MAX_LEVELS = 8

Resolve = Callable[[str, int], plan.Plan | None]
Exports = dict[str, Type]  # step id -> what later steps see under it
Compiled = tuple[
    plan.AnyStep, Type, Exports
]  # the step, its result, and what is seen of the steps inside of it

_DURATION = union((STRING, NUMBER))
_RESERVED = frozenset(
    {"alert", "steps", "inputs", "run", "event", "none", "null", "true", "false", "is"}
) | {word.lower() for word in keyword.kwlist}


class StepCompiler:
    """Compiles the steps of one playbook. `broken`: ids of steps that could not be read, of which anything may be expected."""

    def __init__(
        self,
        report: Report,
        checks: Checks,
        catalogue: Catalogue,
        resolve: Resolve,
        *,
        playbook: str,
        broken: frozenset[str],
    ) -> None:
        self._report = report
        self._checks = checks
        self._catalogue = catalogue
        self._resolve = resolve
        self._playbook = playbook
        self._broken = broken

    def steps(
        self, steps: Sequence[written.AnyStep], path: Path, known: Known, level: int = 1
    ) -> tuple[tuple[plan.AnyStep, ...], Exports]:
        """Steps in sequence: each sees those before it."""
        if level > MAX_LEVELS:
            self._report.add(
                path,
                f"steps nested more than {MAX_LEVELS} deep",
                "put the inner ones in a playbook and `call` it",
            )
            return (), {}
        compiled: list[plan.AnyStep] = []
        exports: Exports = {}
        for index, step in enumerate(steps):
            done, seen = self._step(step, (*path, index), known.after(exports), level)
            compiled.append(done)
            exports |= seen
        return tuple(compiled), exports

    def _step(
        self, step: written.AnyStep, path: Path, known: Known, level: int
    ) -> tuple[plan.AnyStep, Exports]:
        self._checks.condition(step.when, (*path, "when"), known)
        on_error, handled = self._on_error(step, path, known, level)
        common: dict[str, Any] = {
            "id": step.id,
            "when": step.when,
            "retry": plan.Retry(**step.retry.model_dump()) if step.retry else None,
            "timeout": step.timeout,
            "on_error": on_error,
            "approve": self._approve(step.approve, (*path, "approve"), known),
        }
        compiled, result, inner = self._kind(step, path, known, level, common)
        if step.approve and step.id not in self._broken and not _changes(compiled):
            self._report.add(
                (*path, "approve"),
                "an approval of what changes nothing",
                "remove it; `ask` asks a person a question",
                key=True,
            )
        may_be_missing = step.when is not None or step.on_error != "fail"
        exports = {step.id: result, **inner}
        if may_be_missing:
            exports = {name: nullable(kind) for name, kind in exports.items()}
        exports |= {name: nullable(kind) for name, kind in handled.items()}
        return compiled, {
            name: ANY if name in self._broken else kind for name, kind in exports.items()
        }

    def _on_error(
        self, step: written.Step, path: Path, known: Known, level: int
    ) -> tuple[Any, Exports]:
        if isinstance(step.on_error, str):
            return step.on_error, {}
        return self.steps(step.on_error, (*path, "on_error"), known, level + 1)

    def _approve(
        self, approve: written.Approve | None, path: Path, known: Known
    ) -> plan.Approve | None:
        if approve is None:
            return None
        self._checks.condition(approve.when, (*path, "when"), known)
        self._checks.text(approve.question, (*path, "question"), known)
        if approve.otherwise == "escalate" and not approve.escalate_to:
            self._report.add(
                (*path, "otherwise"), "escalates to nobody", "add `escalate_to: GROUP`"
            )
        if approve.otherwise != "escalate" and approve.escalate_to:
            self._report.add(
                (*path, "escalate_to"),
                "'escalate_to' is never used",
                "add `otherwise: escalate`",
                key=True,
            )
        for place, group in enumerate(approve.escalate_to):
            if group in approve.escalate_to[:place]:
                self._report.add(
                    (*path, "escalate_to", place),
                    f"'{group}' is asked twice",
                    "name each group of the chain once",
                )
        return plan.Approve(**approve.model_dump())

    def _kind(
        self, step: written.AnyStep, path: Path, known: Known, level: int, common: dict[str, Any]
    ) -> Compiled:
        match step:
            case written.UseStep():
                return self._use(step, path, known, common)
            case written.ParallelStep():
                return self._parallel(step, path, known, level, common)
            case written.ForEachStep():
                return self._for_each(step, path, known, level, common)
            case written.ChooseStep():
                return self._choose(step, path, known, level, common)
            case written.RepeatStep():
                return self._repeat(step, path, known, level, common)
            case written.WaitStep():
                return self._wait(step, path, known, common)
            case written.AskStep():
                return self._ask(step, path, known, common)
            case written.CallStep():
                return self._call(step, path, known, level, common)

    def _use(
        self, step: written.UseStep, path: Path, known: Known, common: dict[str, Any]
    ) -> Compiled:
        action = self._catalogue.get(step.use)
        if action is None:
            self._report.add(
                (*path, "use"), f"unknown action {step.use!r}", self._catalogue.mend(step.use)
            )
        self._checks.value(
            step.inputs, action.input_schema if action else {}, (*path, "with"), known
        )
        self._hold(step, action, path, known)
        connection, _, name = step.use.partition(".")
        compiled = plan.Use(
            **common,
            connection=connection,
            capability=action.capability if action else "",
            action=name,
            effect=action.effect if action else Effect.CONTAIN,
            inputs=step.inputs,
            hold=step.hold,
        )
        return compiled, from_schema(action.result_schema) if action else ANY, {}

    def _hold(
        self, step: written.UseStep, action: ActionType | None, path: Path, known: Known
    ) -> None:
        self._checks.kind(step.hold, _DURATION, (*path, "for"), known)
        if step.hold is not None and action and action.effect is not Effect.CONTAIN:
            message = f"'for' on {step.use}, which contains nothing (its effect is {action.effect})"
            self._report.add((*path, "for"), message, "remove it", key=True)

    def _parallel(
        self,
        step: written.ParallelStep,
        path: Path,
        known: Known,
        level: int,
        common: dict[str, Any],
    ) -> Compiled:
        branches: list[plan.AnyStep] = []
        exports: Exports = {}
        for index, branch in enumerate(step.parallel):
            compiled, seen = self._branch(branch, (*path, "parallel", index), known, level)
            branches += compiled
            exports |= seen
        result = ObjectOf({branch.id: exports[branch.id] for branch in branches})
        return plan.Parallel(**common, steps=tuple(branches)), result, exports

    def _branch(
        self, branch: written.AnyStep, path: Path, known: Known, level: int
    ) -> tuple[list[plan.AnyStep], Exports]:
        """One branch of `parallel`, which does not see its siblings."""
        if level + 1 > MAX_LEVELS:
            self._report.add(
                path,
                f"steps nested more than {MAX_LEVELS} deep",
                "put the inner ones in a playbook and `call` it",
            )
            return [], {}
        compiled, seen = self._step(branch, path, known, level + 1)
        return [compiled], seen

    def _for_each(
        self,
        step: written.ForEachStep,
        path: Path,
        known: Known,
        level: int,
        common: dict[str, Any],
    ) -> Compiled:
        item = self._checks.item(step.for_each, (*path, "for_each"), known)
        if step.name in _RESERVED or step.name in known.names:
            self._report.add((*path, "as"), f"the name {step.name!r} is taken", "choose another")
        if isinstance(step.for_each, list) and len(step.for_each) > step.at_most:
            self._report.add(
                (*path, "at_most"),
                f"{len(step.for_each)} items are written, and at most {step.at_most} allowed",
            )
        inside, seen = self.steps(
            step.steps, (*path, "steps"), known.beside(**{step.name: item}), level + 1
        )
        compiled = plan.ForEach(
            **common,
            items=step.for_each,
            name=step.name,
            at_most=step.at_most,
            at_once=step.at_once,
            steps=inside,
        )
        return compiled, results.for_each(item, seen), {}

    def _choose(
        self, step: written.ChooseStep, path: Path, known: Known, level: int, common: dict[str, Any]
    ) -> Compiled:
        branches: list[plan.Branch] = []
        otherwise: tuple[plan.AnyStep, ...] = ()
        exports: Exports = {}
        for index, branch in enumerate(step.choose):
            here = (*path, "choose", index)
            if isinstance(branch, written.Otherwise):
                if index == 0 or index < len(step.choose) - 1:
                    self._report.add(
                        (*here, "otherwise"),
                        "'otherwise' is not the last of several branches",
                        "put it last, after a `when`",
                        key=True,
                    )
                otherwise, seen = self.steps(
                    branch.otherwise, (*here, "otherwise"), known, level + 1
                )
            else:
                self._checks.condition(branch.when, (*here, "when"), known)
                inside, seen = self.steps(branch.steps, (*here, "steps"), known, level + 1)
                branches.append(plan.Branch(when=branch.when, steps=inside))
            exports |= {name: nullable(kind) for name, kind in seen.items()}
        return (
            plan.Choose(**common, branches=tuple(branches), otherwise=otherwise),
            results.CHOOSE,
            exports,
        )

    def _repeat(
        self, step: written.RepeatStep, path: Path, known: Known, level: int, common: dict[str, Any]
    ) -> Compiled:
        here = (*path, "repeat")
        inside, seen = self.steps(step.repeat.steps, (*here, "steps"), known, level + 1)
        self._checks.condition(step.repeat.until, (*here, "until"), known.after(seen))
        compiled = plan.Repeat(
            **common,
            steps=inside,
            until=step.repeat.until,
            at_most=step.repeat.at_most,
            every=step.repeat.every or 0,
        )
        return compiled, results.REPEAT, seen

    def _wait(
        self, step: written.WaitStep, path: Path, known: Known, common: dict[str, Any]
    ) -> Compiled:
        if isinstance(step.wait, written.Event):
            event = step.wait
            self._checks.condition(
                event.event, (*path, "wait", "event"), known.beside(event=alert_type())
            )
            return (
                plan.Wait(
                    **common, event=event.event, within=event.within, otherwise=event.otherwise
                ),
                results.wait(),
                {},
            )
        self._checks.kind(step.wait, _DURATION, (*path, "wait"), known)
        return plan.Wait(**common, seconds=step.wait), results.wait(), {}

    def _ask(
        self, step: written.AskStep, path: Path, known: Known, common: dict[str, Any]
    ) -> Compiled:
        here = (*path, "ask")
        self._checks.text(step.ask.question, (*here, "question"), known)
        for name, field in step.ask.form.items():
            self._choices(field, (*here, "form", name))
        form = {
            name: plan.FormField(**{**field.model_dump(), "choices": tuple(field.choices)})
            for name, field in step.ask.form.items()
        }
        fields = step.ask.model_dump(exclude={"form"})
        result = results.ask(form)
        return (
            plan.Ask(**common, form=form, **fields),
            nullable(result) if step.ask.otherwise == "continue" else result,
            {},
        )

    def _choices(self, field: written.FormField, path: Path) -> None:
        if field.type == "choice" and not field.choices:
            self._report.add(path, "a choice of nothing", "add `choices: [...]`")
        if field.type != "choice" and field.choices:
            self._report.add(
                (*path, "choices"),
                f"'choices' of a {field.type}",
                "write `type: choice`, or remove them",
                key=True,
            )
        if len(set(field.choices)) < len(field.choices):
            self._report.add((*path, "choices"), "a choice that is there twice", "remove one")

    def _call(
        self, step: written.CallStep, path: Path, known: Known, level: int, common: dict[str, Any]
    ) -> Compiled:
        name, _, version = step.call.partition("@")
        called = self._resolve(name, int(version)) if name != self._playbook else None
        if name == self._playbook or (called and self._playbook in _called(called)):
            self._report.add(
                (*path, "call"),
                f"{step.call} leads back to {self._playbook!r}",
                "a playbook cannot call itself, not even through another",
            )
        elif called is None:
            self._report.add(
                (*path, "call"),
                f"there is no published version {version} of {name!r}",
                "publish it first, or pin a version that is there",
            )
        elif called.trigger is not None:
            message = (
                f"{step.call} is started by alerts, and a called playbook sees its inputs only"
            )
            self._report.add((*path, "call"), message, "call one that has no trigger")
        elif level + depth(called.steps) > MAX_LEVELS:
            self._report.add(
                (*path, "call"),
                f"with {step.call}, steps are nested more than {MAX_LEVELS} deep",
                "call it from further out",
            )
        self._checks.value(
            step.inputs, schema_of(called.inputs) if called else {}, (*path, "with"), known
        )
        nothing = plan.Plan(playbook=name, version=int(version), title=name, owner=name, steps=())
        return plan.Call(**common, inputs=step.inputs, plan=called or nothing), results.CALL, {}


def inside(step: plan.AnyStep) -> tuple[plan.AnyStep, ...]:
    """The steps directly inside of a step, its error handlers and the called playbook's among them."""
    handlers = step.on_error if isinstance(step.on_error, tuple) else ()
    match step:
        case plan.Parallel() | plan.ForEach() | plan.Repeat():
            return (*step.steps, *handlers)
        case plan.Choose():
            return (
                *(inner for branch in step.branches for inner in branch.steps),
                *step.otherwise,
                *handlers,
            )
        case plan.Call():
            return (*step.plan.steps, *handlers)
        case _:
            return handlers


def count(steps: Sequence[plan.AnyStep]) -> int:
    """How many steps there are in all."""
    return sum(1 + count(inside(step)) for step in steps)


def depth(steps: Sequence[plan.AnyStep]) -> int:
    """How deep steps are nested: 1 for a flat sequence."""
    return 1 + max((depth(inside(step)) for step in steps), default=0) if steps else 0


def _changes(step: plan.AnyStep) -> bool:
    if isinstance(step, plan.Use):
        return step.effect.changes
    return any(_changes(inner) for inner in inside(step))


def _called(called: plan.Plan) -> set[str]:
    names = {called.playbook}
    pending = list(called.steps)
    while pending:
        step = pending.pop()
        if isinstance(step, plan.Call):
            names.add(step.plan.playbook)
        pending += inside(step)
    return names


def all_nullable(exports: Mapping[str, Type]) -> Exports:
    """What is seen of steps that may not have run."""
    return {name: nullable(kind) for name, kind in exports.items()}
