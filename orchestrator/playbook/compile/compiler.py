"""The compiler: parse a playbook, check it against the catalogue, build the plan."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.domain.run import BUILT_IN_PLAYBOOKS
from orchestrator.playbook import plan
from orchestrator.playbook.catalogue import Catalogue
from orchestrator.playbook.compile import results
from orchestrator.playbook.compile.diagnostics import Diagnostics, is_step, value_at
from orchestrator.playbook.compile.expression_checks import (
    CheckedExpression,
    ExpressionChecker,
    VisibleNames,
)
from orchestrator.playbook.compile.inputs import input_schema
from orchestrator.playbook.compile.parse import ParsedPlaybook, parse_playbook
from orchestrator.playbook.compile.schema_fit import schema_mismatches
from orchestrator.playbook.compile.steps import MAX_STEPS, Resolve, StepCompiler, all_nullable
from orchestrator.playbook.language.types import ANY, STRING, Type, alert_type, nullable
from orchestrator.playbook.language.yaml import BadYaml, Document, Path, load
from orchestrator.playbook.problems import PlaybookInvalid, PlaybookProblem
from orchestrator.playbook.schema.fields import CALL
from orchestrator.playbook.schema.playbook import PlaybookSpec

__all__ = [
    "AnalyzedPlaybook",
    "CompiledPlaybook",
    "Resolve",
    "analyze_document",
    "analyze_playbook",
    "called_versions",
    "compile_playbook",
    "read_document",
]


@dataclass(frozen=True, slots=True)
class CompiledPlaybook:
    """A playbook without errors."""

    plan: plan.Plan
    positions: dict[str, tuple[int, int]]  # of each step id: line and column in the source, from 1
    source: str


@dataclass(frozen=True, slots=True)
class AnalyzedPlaybook:
    """A compiled playbook with its document and the expressions in it, for lint."""

    compiled: CompiledPlaybook
    document: Document
    paths: dict[str, Path]  # of each step, by its id
    expressions: tuple[CheckedExpression, ...]


def compile_playbook(
    text: str, file: str, catalogue: Catalogue, resolve: Resolve
) -> CompiledPlaybook:
    """Compile the text of one playbook, or raise PlaybookInvalid with every problem.

    Messages call it `file`. `resolve` returns a published plan by name and version.
    """
    return analyze_playbook(text, file, catalogue, resolve).compiled


def analyze_playbook(
    text: str, file: str, catalogue: Catalogue, resolve: Resolve
) -> AnalyzedPlaybook:
    """Compile a playbook and keep what lint needs. Raises PlaybookInvalid."""
    return analyze_document(read_document(text, file), text, file, catalogue, resolve)


def read_document(text: str, file: str) -> Document:
    """Read the YAML of a playbook. Raises PlaybookInvalid."""
    try:
        return load(text)
    except BadYaml as error:
        place = error.position
        raise PlaybookInvalid(
            [PlaybookProblem(file, place.line, place.column, None, error.message, error.fix)]
        ) from error


def called_versions(document: Document) -> tuple[tuple[str, int], ...]:
    """Return the names and versions that the steps of a document call, each once."""
    calls = (value_at(step, ("call",)) for step, _ in _steps(document.data, ()))
    well_formed = (call for call in calls if isinstance(call, str) and re.match(CALL, call))
    parts = (call.partition("@") for call in dict.fromkeys(well_formed))
    return tuple((name, int(version)) for name, _, version in parts)


def analyze_document(
    document: Document, text: str, file: str, catalogue: Catalogue, resolve: Resolve
) -> AnalyzedPlaybook:
    """Compile a playbook whose YAML is read, as `analyze_playbook` does. Raises PlaybookInvalid."""
    diagnostics = Diagnostics(file, document)
    if not (parsed := parse_playbook(document, diagnostics)):
        diagnostics.raise_any()
        raise PlaybookInvalid([PlaybookProblem(file, 1, 1, None, "not a playbook")])
    compiler = _Compiler(document, diagnostics, parsed, catalogue, resolve)
    whole = compiler.compile()
    diagnostics.raise_any()
    paths = dict(_ids(document.data))
    places = {name: document.at(path) for name, path in paths.items()}
    positions = {name: (place.line, place.column) for name, place in places.items()}
    compiled = CompiledPlaybook(whole, positions, text)
    return AnalyzedPlaybook(compiled, document, paths, compiler.expressions)


class _Compiler:
    def __init__(
        self,
        document: Document,
        diagnostics: Diagnostics,
        parsed: ParsedPlaybook,
        catalogue: Catalogue,
        resolve: Resolve,
    ) -> None:
        self._spec = parsed.playbook
        self._diagnostics = diagnostics
        self._broken = dict.fromkeys(parsed.broken, ANY)
        self._inputs_known = parsed.inputs_known
        ids = self._unique_ids(document)
        self._checker = ExpressionChecker(diagnostics, document.data, ids)
        self._steps = StepCompiler(
            diagnostics,
            self._checker,
            catalogue,
            resolve,
            playbook=self._spec.playbook,
            broken=parsed.broken,
        )

    def compile(self) -> plan.Plan:
        """Return the plan. It is valid only if no problem was reported."""
        spec = self._spec
        inputs = {
            name: plan.InputField(**field.model_dump()) for name, field in spec.inputs.items()
        }
        names = VisibleNames(self._names(inputs), dict(self._broken))
        if spec.playbook in BUILT_IN_PLAYBOOKS:
            self._diagnostics.add(
                ("playbook",),
                f"{spec.playbook!r} is the name of a playbook that is built in",
                "choose another name",
            )
        self._check_inputs(inputs)
        steps, exports = self._steps.steps(spec.steps, ("steps",), names)
        on_failure, further = self._on_failure(spec, names.after(all_nullable(exports)))
        if sum(1 for _ in plan.walk_steps([*steps, *further])) > MAX_STEPS:
            self._diagnostics.add(
                ("steps",),
                f"the playbook has more than {MAX_STEPS} steps, including those that it calls",
                "split it",
                key=True,
            )
        return plan.Plan(
            **spec.model_dump(include={"playbook", "version", "title", "owner"}),
            attack=tuple(spec.attack),
            trigger=self._trigger(spec),
            inputs=inputs,
            limits=plan.Limits(**spec.limits.model_dump()),
            steps=steps,
            on_failure=on_failure,
        )

    @property
    def expressions(self) -> tuple[CheckedExpression, ...]:
        """Every expression and value that was checked."""
        return tuple(self._checker.expressions)

    def _names(self, inputs: Mapping[str, plan.InputField]) -> dict[str, Type]:
        """Return the types of the names that every step sees."""
        # Null in a run that is started by hand or by `call`.
        alert: Type = alert_type() if self._spec.trigger else nullable(alert_type())
        return {
            "alert": alert,
            "inputs": results.inputs(inputs) if self._inputs_known else ANY,
            "run": results.RUN,
        }

    def _trigger(self, spec: PlaybookSpec) -> plan.Trigger | None:
        if spec.trigger is None:
            return None
        names = VisibleNames({"alert": alert_type()}, None)
        self._checker.condition(spec.trigger.when, ("trigger", "when"), names)
        self._checker.text(spec.trigger.once_per, ("trigger", "once_per"), names, name=True)
        if spec.trigger.once_per.strip().startswith("alert."):
            message = "this text is the same for every alert, so all alerts would share one run"
            self._diagnostics.add(
                ("trigger", "once_per"),
                message,
                f"write ${{{{ {spec.trigger.once_per.strip()} }}}}",
            )
        return plan.Trigger(**spec.trigger.model_dump())

    def _check_inputs(self, inputs: Mapping[str, plan.InputField]) -> None:
        for name, field in inputs.items():
            path: Path = ("inputs", name)
            if self._spec.trigger and field.required and field.default is None:
                self._diagnostics.add(
                    path,
                    f"an alert cannot give the input {name!r}",
                    "give it a default, or `required: false`",
                    key=True,
                )
            if field.default is not None:
                for mismatch in schema_mismatches(
                    field.default,
                    input_schema(field),
                    (*path, "default"),
                    lambda _text, _path: STRING,
                ):
                    self._diagnostics.add(mismatch.path, mismatch.message, mismatch.fix)

    def _on_failure(
        self, spec: PlaybookSpec, names: VisibleNames
    ) -> tuple[Any, tuple[plan.AnyStep, ...]]:
        if isinstance(spec.on_failure, str):
            return spec.on_failure, ()
        steps, _ = self._steps.steps(spec.on_failure, ("on_failure",), names)
        return steps, steps

    def _unique_ids(self, document: Document) -> dict[str, Path]:
        ids: dict[str, Path] = {}
        for name, path in _ids(document.data):
            if name in ids:
                first = document.at(ids[name])
                self._diagnostics.add(
                    (*path, "id"),
                    f"the id {name!r} is already used by the step in line {first.line}",
                    "choose another id",
                )
            ids.setdefault(name, path)
        return ids


def _ids(data: Any) -> Iterator[tuple[str, Path]]:
    """Yield every step id and its path, in the order of the text."""
    for step, path in _steps(data, ()):
        if isinstance(name := value_at(step, ("id",)), str):
            yield name, path


def _steps(data: Any, path: Path) -> Iterator[tuple[Any, Path]]:
    """Yield every step and its path, in the order of the text."""
    if is_step(path):
        yield data, path
    children = (
        data.items()
        if isinstance(data, dict)
        else enumerate(data)
        if isinstance(data, list)
        else ()
    )
    for key, value in children:
        if key not in {"with", "for_each", "form", "inputs"}:
            yield from _steps(value, (*path, key))
