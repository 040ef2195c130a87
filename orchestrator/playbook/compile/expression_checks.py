"""Whether the expressions of a playbook can be right, given what is known where they stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.playbook.compile.diagnostics import Report, is_step, value_at
from orchestrator.playbook.compile.schema_fit import Schema, misfits
from orchestrator.playbook.language.ast import Node
from orchestrator.playbook.language.evaluate import is_template, parts, references
from orchestrator.playbook.language.infer import infer_text, require_bool
from orchestrator.playbook.language.syntax import ExpressionError, parse
from orchestrator.playbook.language.types import (
    ANY,
    NULL,
    STRING,
    ListOf,
    ObjectOf,
    Type,
    fits,
    kinds,
    union,
    without_null,
)
from orchestrator.playbook.language.yaml import Path
from orchestrator.playbook.problems import did_you_mean


@dataclass(frozen=True, slots=True)
class Known:
    """What an expression can see at a place: names, and the steps that ran (or may have run) before it."""

    names: Mapping[str, Type]
    steps: Mapping[str, Type] | None = field(
        default_factory=dict
    )  # None: no steps are seen here at all

    def after(self, steps: Mapping[str, Type]) -> Known:
        """The same once these have run."""
        return replace(self, steps={**(self.steps or {}), **steps})

    def beside(self, **names: Type) -> Known:
        """The same with further names."""
        return replace(self, names={**self.names, **names})

    def types(self) -> Mapping[str, Type]:
        """All that can be looked up."""
        return self.names if self.steps is None else {**self.names, "steps": ObjectOf(self.steps)}


@dataclass(frozen=True, slots=True)
class Place:
    """What was checked where, and what is known there.

    `schema` None: a bare condition, or a text that holds expressions; else: a whole value that has to fit it.
    """

    path: Path
    value: Any
    known: Known
    condition: bool = False
    schema: Schema | None = None


class Checks:
    """Checks expressions in their places, and reports. `ids`: every step of the playbook and its path.

    `places` are all that were checked, for whoever asks more of them than whether they can be right.
    """

    def __init__(self, report: Report, data: Any, ids: Mapping[str, Path]) -> None:
        self.places: list[Place] = []
        self._report = report
        self._data = data
        self._ids = ids

    def condition(self, source: str | None, path: Path, known: Known) -> None:
        """A bare expression that has to yield true or false."""
        if source is None:
            return
        self.places.append(Place(path, source, known, condition=True))
        try:
            if self._steps_are_seen(parse(source), path, known):
                require_bool(source, known.types())
        except ExpressionError as error:
            self._report.add(path, error.message, error.mend)

    def infer(self, template: str, path: Path, known: Known) -> Type:
        """The type of a text that holds expressions; ANY where it is wrong, which is then reported."""
        self.places.append(Place(path, template, known))
        try:
            seen = [
                self._steps_are_seen(piece, path, known)
                for piece in parts(template)
                if not isinstance(piece, str)
            ]
            return infer_text(template, known.types()) if all(seen) else ANY
        except ExpressionError as error:
            self._report.add(path, error.message, error.mend)
            return ANY

    def text(self, template: str, path: Path, known: Known, *, name: bool = False) -> None:
        """A text for people; as a `name` it may not be made of a list or an object either."""
        given = self.infer(template, path, known)
        if given == NULL or (
            name and kinds(without_null(given)) & {"list", "object"} and given != ANY
        ):
            self._report.add(
                path, f"a text is wanted, and this is {given}", "give it a text: `| default('...')`"
            )

    def value(self, value: Any, schema: Schema, path: Path, known: Known) -> None:
        """A value that has to fit a JSON Schema."""
        self.places.append(Place(path, value, known, schema=schema))
        for misfit in misfits(
            value, schema, path, lambda template, place: self.infer(template, place, known)
        ):
            self._report.add(misfit.path, misfit.message, misfit.mend, key=misfit.key)
        self._refuse_templates_in_keys(value, path)

    def kind(self, value: Any, wanted: Type, path: Path, known: Known) -> None:
        """A template that has to yield a type; a value without any is left to its schema."""
        if isinstance(value, str) and is_template(value):
            given = self.infer(value, path, known)
            if not fits(given, wanted) or given == NULL:
                self._report.add(path, f"wants {wanted}, and this is {given}")

    def item(self, value: Any, path: Path, known: Known) -> Type:
        """The type of the items of a list that is written out, or that a whole-value template yields."""
        if isinstance(value, list):
            self.value(value, {}, path, known)
            return union(
                self.infer(item, (*path, index), known) if isinstance(item, str) else ANY
                for index, item in enumerate(value)
            )
        given = without_null(self.infer(value, path, known)) if is_template(value) else STRING
        if isinstance(given, ListOf):
            return given.item
        if given != ANY:
            self._report.add(
                path,
                f"wants a list, and this is {given}",
                "write a whole-value ${{ }} that yields a list, or a list",
            )
        return ANY

    def _refuse_templates_in_keys(self, value: Any, path: Path) -> None:
        for key, item in (
            value.items()
            if isinstance(value, dict)
            else enumerate(value)
            if isinstance(value, list)
            else ()
        ):
            if isinstance(key, str) and is_template(key):
                self._report.add(
                    (*path, key), "an expression in a key", "write the key out", key=True
                )
            self._refuse_templates_in_keys(item, (*path, key))

    def _steps_are_seen(self, node: Node, path: Path, known: Known) -> bool:
        """Whether all steps that an expression names are seen from where it stands; reports why not."""
        if known.steps is None:
            return True
        named = {
            parts_[1]
            for found in references(node)
            if (parts_ := found.split("."))[0] == "steps" and len(parts_) > 1
        }
        unseen = sorted(name for name in named if name not in known.steps)
        for name in unseen:
            if name in self._ids:
                self._report.add(path, *self._why_unseen(name, self._ids[name], path))
            else:
                self._report.add(path, f"unknown step {name!r}", did_you_mean(name, known.steps))
        return not unseen

    def _why_unseen(self, name: str, target: Path, place: Path) -> tuple[str, str]:
        shared = next(
            (
                end
                for end, (one, other) in enumerate(zip(target, place, strict=False))
                if one != other
            ),
            min(len(target), len(place)),
        )
        if shared == len(target):
            return f"step {name!r} is not over here", "its result is there for the steps after it"
        for end in range(shared + 1, len(target)):
            block = value_at(self._data, target[:end])
            if is_step(target[:end]) and isinstance(block, dict) and "for_each" in block:
                return (
                    f"step {name!r} is inside of the for_each {block.get('id')!r}",
                    f"look into steps.{block.get('id')}.items",
                )
        if target[shared - 1] == "parallel":
            return f"step {name!r} runs at the same time", "move it before the parallel block"
        if target[shared - 1] == "choose" or (shared > 1 and target[shared - 2] == "choose"):
            return f"step {name!r} is in another branch of the same choose", "only one branch runs"
        return f"step {name!r} runs later", "move it up"
