"""Compilation of steps without inner steps: `use`, `wait`, `ask`, and the approval of any step."""

from __future__ import annotations

from typing import Any

from orchestrator.domain.change import Effect
from orchestrator.playbook import plan
from orchestrator.playbook.catalogue import ActionType, Catalogue
from orchestrator.playbook.compile import results
from orchestrator.playbook.compile.diagnostics import Diagnostics
from orchestrator.playbook.compile.expression_checks import ExpressionChecker, VisibleNames
from orchestrator.playbook.language.types import (
    ANY,
    Type,
    alert_type,
    from_schema,
    nullable,
)
from orchestrator.playbook.language.yaml import Path
from orchestrator.playbook.schema import questions, steps


class LeafCompiler:
    """A compiler of steps without inner steps. `common` holds the fields that every step has."""

    def __init__(
        self, diagnostics: Diagnostics, checker: ExpressionChecker, catalogue: Catalogue
    ) -> None:
        self._diagnostics = diagnostics
        self._checker = checker
        self._catalogue = catalogue

    def use(
        self, step: steps.UseStep, path: Path, names: VisibleNames, common: dict[str, Any]
    ) -> tuple[plan.Use, Type]:
        """Return the compiled step and the type of its result."""
        action = self._catalogue.get(step.use)
        if action is None:
            self._diagnostics.add(
                (*path, "use"), f"unknown action {step.use!r}", self._catalogue.suggest(step.use)
            )
        schema = action.input_schema if action else {}
        self._checker.value(step.inputs, schema, (*path, "with"), names)
        self._hold(step, action, path, names)
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
        return compiled, from_schema(action.result_schema) if action else ANY

    def _hold(
        self, step: steps.UseStep, action: ActionType | None, path: Path, names: VisibleNames
    ) -> None:
        self._checker.duration(step.hold, (*path, "for"), names)
        if step.hold is not None and action and action.effect is not Effect.CONTAIN:
            message = f"'for' needs a containment, and the effect of {step.use} is {action.effect}"
            self._diagnostics.add((*path, "for"), message, "remove it", key=True)

    def wait(
        self, step: steps.WaitStep, path: Path, names: VisibleNames, common: dict[str, Any]
    ) -> tuple[plan.Wait, Type]:
        """Return the compiled step and the type of its result."""
        if isinstance(step.wait, steps.EventSpec):
            names = names.with_names(event=alert_type())
            self._checker.condition(step.wait.event, (*path, "wait", "event"), names)
            return plan.Wait(**common, **step.wait.model_dump()), results.wait()
        self._checker.duration(step.wait, (*path, "wait"), names)
        return plan.Wait(**common, seconds=step.wait), results.wait()

    def ask(
        self, step: steps.AskStep, path: Path, names: VisibleNames, common: dict[str, Any]
    ) -> tuple[plan.Ask, Type]:
        """Return the compiled step and the type of its result."""
        here = (*path, "ask")
        self._checker.text(step.ask.question, (*here, "question"), names)
        for name, field in step.ask.form.items():
            self._choices(field, (*here, "form", name))
        form = {
            name: plan.FormField(**{**field.model_dump(), "choices": tuple(field.choices)})
            for name, field in step.ask.form.items()
        }
        compiled = plan.Ask(
            **common,
            form=form,
            evidence=self._evidence(step.ask.evidence, (*here, "evidence"), names),
            **step.ask.model_dump(exclude={"form", "evidence"}),
        )
        result = results.ask(form)
        return compiled, nullable(result) if step.ask.otherwise == "continue" else result

    def _choices(self, field: questions.FormFieldSpec, path: Path) -> None:
        if field.type == "choice" and not field.choices:
            self._diagnostics.add(path, "the field has no choices", "add `choices: [...]`")
        if field.type != "choice" and field.choices:
            self._diagnostics.add(
                (*path, "choices"),
                f"a field of type {field.type} has no 'choices'",
                "write `type: choice`, or remove them",
                key=True,
            )
        if len(set(field.choices)) < len(field.choices):
            self._diagnostics.add((*path, "choices"), "a choice appears twice", "remove one")

    def approve(
        self, approve: questions.ApproveSpec | None, path: Path, names: VisibleNames
    ) -> plan.Approve | None:
        """Return the compiled approval of a step, if it has one."""
        if approve is None:
            return None
        self._checker.condition(approve.when, (*path, "when"), names)
        if approve.question is not None:
            asked = names.with_names(changes=results.CHANGES)
            self._checker.text(approve.question, (*path, "question"), asked)
        evidence = self._evidence(approve.evidence, (*path, "evidence"), names)
        if approve.otherwise == "escalate" and not approve.escalate_to:
            self._diagnostics.add(
                (*path, "otherwise"), "escalates to no group", "add `escalate_to: GROUP`"
            )
        if approve.otherwise != "escalate" and approve.escalate_to:
            self._diagnostics.add(
                (*path, "escalate_to"),
                "'escalate_to' is never used",
                "add `otherwise: escalate`",
                key=True,
            )
        for place, group in enumerate(approve.escalate_to):
            if group in approve.escalate_to[:place]:
                self._diagnostics.add(
                    (*path, "escalate_to", place),
                    f"'{group}' is asked twice",
                    "name each group once",
                )
        return plan.Approve(**approve.model_dump(exclude={"evidence"}), evidence=evidence)

    def _evidence(
        self, evidence: dict[str, str] | list[str], path: Path, names: VisibleNames
    ) -> tuple[plan.EvidenceItem, ...]:
        """Return the compiled evidence. An expression of a list is its own label."""
        rows = (
            [(label, label, value) for label, value in evidence.items()]
            if isinstance(evidence, dict)
            else [(index, value[3:-2].strip(), value) for index, value in enumerate(evidence)]
        )
        for key, _, value in rows:
            self._checker.value(value, {}, (*path, key), names)
        return tuple(plan.EvidenceItem(label=label, value=value) for _, label, value in rows)
