"""How the text of a playbook becomes a plan: read, checked against the catalogue and its own data flow, frozen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.playbook import plan
from orchestrator.playbook.catalogue import Catalogue
from orchestrator.playbook.compile import results
from orchestrator.playbook.compile.diagnostics import Report, is_step, value_at
from orchestrator.playbook.compile.expression_checks import Checks, Known, Place
from orchestrator.playbook.compile.inputs import schema_of_one
from orchestrator.playbook.compile.parse import Read, read
from orchestrator.playbook.compile.schema_fit import misfits
from orchestrator.playbook.compile.steps import (
    MAX_STEPS,
    Resolve,
    StepCompiler,
    all_nullable,
    count,
)
from orchestrator.playbook.language.types import ANY, STRING, Type, alert_type, nullable
from orchestrator.playbook.language.yaml import BadYaml, Document, Path, load
from orchestrator.playbook.problems import PlaybookInvalid, Problem
from orchestrator.playbook.schema.playbook import Playbook

__all__ = ["Compiled", "Examined", "Resolve", "compile_playbook", "examine_playbook"]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A playbook that can be published. `positions`: step id -> line and column (from 1) in the source."""

    plan: plan.Plan
    positions: dict[str, tuple[int, int]]
    source: str


@dataclass(frozen=True, slots=True)
class Examined:
    """A playbook that can be published, with what was learnt on the way: its text's places, its steps' paths, its expressions."""

    compiled: Compiled
    document: Document
    paths: dict[str, Path]  # of each step, by its id
    places: tuple[Place, ...]


def compile_playbook(text: str, file: str, catalogue: Catalogue, resolve: Resolve) -> Compiled:
    """Compile the text of one playbook. `file` is how messages call it; `resolve` finds a published plan by name and version.

    Raises PlaybookInvalid with every problem that was found.
    """
    return examine_playbook(text, file, catalogue, resolve).compiled


def examine_playbook(text: str, file: str, catalogue: Catalogue, resolve: Resolve) -> Examined:
    """As `compile_playbook`, for who asks more of a playbook than whether it is good."""
    try:
        document = load(text)
    except BadYaml as error:
        place = error.position
        raise PlaybookInvalid(
            [Problem(file, place.line, place.column, None, error.message, error.mend)]
        ) from error
    report = Report(file, document)
    if not (found := read(document, report)):
        report.raise_any()
        raise PlaybookInvalid([Problem(file, 1, 1, None, "not a playbook")])
    compiler = _Compiler(document, report, found, catalogue, resolve)
    compiled = compiler.compiled()
    report.raise_any()
    paths = dict(_ids(document.data, ()))
    positions = {name: document.at(path) for name, path in paths.items()}
    done = Compiled(
        compiled, {name: (place.line, place.column) for name, place in positions.items()}, text
    )
    return Examined(done, document, paths, compiler.places)


class _Compiler:
    def __init__(
        self,
        document: Document,
        report: Report,
        found: Read,
        catalogue: Catalogue,
        resolve: Resolve,
    ) -> None:
        self._written = found.playbook
        self._report = report
        self._broken = dict.fromkeys(found.broken, ANY)
        self._inputs_known = found.inputs_known
        ids = self._unique_ids(document)
        self._checks = Checks(report, document.data, ids)
        self._steps = StepCompiler(
            report,
            self._checks,
            catalogue,
            resolve,
            playbook=self._written.playbook,
            broken=found.broken,
        )

    def compiled(self) -> plan.Plan:
        """The compiled form; only fit for use when the report stayed empty."""
        written = self._written
        inputs = {
            name: plan.InputField(**field.model_dump()) for name, field in written.inputs.items()
        }
        known = Known(self._names(inputs), dict(self._broken))
        self._check_inputs(inputs)
        steps, seen = self._steps.steps(written.steps, ("steps",), known)
        on_failure, further = self._on_failure(written, known.after(all_nullable(seen)))
        if count([*steps, *further]) > MAX_STEPS:
            self._report.add(
                ("steps",),
                f"more than {MAX_STEPS} steps, those of called playbooks included",
                "split it",
                key=True,
            )
        return plan.Plan(
            **written.model_dump(include={"playbook", "version", "title", "owner"}),
            attack=tuple(written.attack),
            trigger=self._trigger(written),
            inputs=inputs,
            limits=plan.Limits(**written.limits.model_dump()),
            steps=steps,
            on_failure=on_failure,
        )

    @property
    def places(self) -> tuple[Place, ...]:
        """Every expression and value that was checked."""
        return tuple(self._checks.places)

    def _names(self, inputs: Mapping[str, plan.InputField]) -> dict[str, Type]:
        """A run that an alert started has it; one that was started by hand or by `call` sees null."""
        alert: Type = alert_type() if self._written.trigger else nullable(alert_type())
        return {
            "alert": alert,
            "inputs": results.inputs(inputs) if self._inputs_known else ANY,
            "run": results.RUN,
        }

    def _trigger(self, written: Playbook) -> plan.Trigger | None:
        if written.trigger is None:
            return None
        known = Known({"alert": alert_type()}, None)
        self._checks.condition(written.trigger.when, ("trigger", "when"), known)
        self._checks.text(written.trigger.once_per, ("trigger", "once_per"), known, name=True)
        if written.trigger.once_per.strip().startswith("alert."):
            message = "this is the same text for every alert, so that the first one covers all"
            self._report.add(
                ("trigger", "once_per"),
                message,
                f"write ${{{{ {written.trigger.once_per.strip()} }}}}",
            )
        return plan.Trigger(**written.trigger.model_dump())

    def _check_inputs(self, inputs: Mapping[str, plan.InputField]) -> None:
        for name, field in inputs.items():
            path: Path = ("inputs", name)
            if self._written.trigger and field.required and field.default is None:
                self._report.add(
                    path,
                    f"an alert cannot give the input {name!r}",
                    "give it a default, or `required: false`",
                    key=True,
                )
            if field.default is not None:
                for misfit in misfits(
                    field.default,
                    schema_of_one(field),
                    (*path, "default"),
                    lambda _text, _path: STRING,
                ):
                    self._report.add(misfit.path, misfit.message, misfit.mend)

    def _on_failure(self, written: Playbook, known: Known) -> tuple[Any, tuple[plan.AnyStep, ...]]:
        if isinstance(written.on_failure, str):
            return written.on_failure, ()
        steps, _ = self._steps.steps(written.on_failure, ("on_failure",), known)
        return steps, steps

    def _unique_ids(self, document: Document) -> dict[str, Path]:
        ids: dict[str, Path] = {}
        for name, path in _ids(document.data, ()):
            if name in ids:
                first = document.at(ids[name])
                self._report.add(
                    (*path, "id"),
                    f"the id {name!r} is taken by the step in line {first.line}",
                    "choose another",
                )
            ids.setdefault(name, path)
        return ids


def _ids(data: Any, path: Path) -> Iterator[tuple[str, Path]]:
    """Every step id and its path, in the order of the text."""
    if is_step(path) and isinstance(name := value_at(data, ("id",)), str):
        yield name, path
    children = (
        data.items()
        if isinstance(data, dict)
        else enumerate(data)
        if isinstance(data, list)
        else ()
    )
    for key, value in children:
        if key not in {"with", "for_each", "form", "inputs"}:
            yield from _ids(value, (*path, key))
