"""Expression checks: whether an expression can be right, given what is visible where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.domain.errors import Invalid
from orchestrator.playbook.compile.diagnostics import Diagnostics, is_step, value_at
from orchestrator.playbook.compile.schema_fit import Schema, schema_mismatches
from orchestrator.playbook.language.ast import ExpressionError, Node
from orchestrator.playbook.language.durations import parse_duration
from orchestrator.playbook.language.infer import infer_text, require_bool
from orchestrator.playbook.language.references import references
from orchestrator.playbook.language.syntax import parse
from orchestrator.playbook.language.templates import is_template, template_parts
from orchestrator.playbook.language.types import (
    ANY,
    NULL,
    NUMBER,
    STRING,
    ListOf,
    ObjectOf,
    Scalar,
    Type,
    fits,
    kinds,
    members,
    union,
    without_null,
)
from orchestrator.playbook.language.yaml import Path
from orchestrator.playbook.problems import did_you_mean

DURATION = union((STRING, NUMBER))


@dataclass(frozen=True, slots=True)
class VisibleNames:
    """The names and earlier steps that an expression can see."""

    names: Mapping[str, Type]
    steps: Mapping[str, Type] | None = field(
        default_factory=dict
    )  # None: no steps are visible here

    def after(self, steps: Mapping[str, Type]) -> VisibleNames:
        """Return the names that are visible after these steps."""
        return replace(self, steps={**(self.steps or {}), **steps})

    def with_names(self, **names: Type) -> VisibleNames:
        """Return these names and further ones."""
        return replace(self, names={**self.names, **names})

    def types(self) -> Mapping[str, Type]:
        """Return the type of every visible name."""
        return self.names if self.steps is None else {**self.names, "steps": ObjectOf(self.steps)}


@dataclass(frozen=True, slots=True)
class CheckedExpression:
    """A condition, template or value that was checked, and the names that it can see."""

    path: Path
    value: Any
    names: VisibleNames
    condition: bool = False
    schema: Schema | None = None  # of a whole value; None for a condition or a template


class ExpressionChecker:
    """A checker that reports wrong expressions and keeps all of them for lint.

    `ids` holds the path of every step of the playbook.
    """

    def __init__(self, diagnostics: Diagnostics, data: Any, ids: Mapping[str, Path]) -> None:
        self.expressions: list[CheckedExpression] = []
        self._diagnostics = diagnostics
        self._data = data
        self._ids = ids

    def condition(self, source: str | None, path: Path, names: VisibleNames) -> None:
        """Check a bare expression that must yield true or false."""
        if source is None:
            return
        self.expressions.append(CheckedExpression(path, source, names, condition=True))
        try:
            if self._are_steps_visible(parse(source), path, names):
                require_bool(source, names.types())
        except ExpressionError as error:
            self._diagnostics.add(path, error.message, error.fix)

    def infer(self, template: str, path: Path, names: VisibleNames) -> Type:
        """Return the type of a template; ANY, and a report, where it is wrong."""
        self.expressions.append(CheckedExpression(path, template, names))
        try:
            visible = [
                self._are_steps_visible(piece, path, names)
                for piece in template_parts(template)
                if not isinstance(piece, str)
            ]
            return infer_text(template, names.types()) if all(visible) else ANY
        except ExpressionError as error:
            self._diagnostics.add(path, error.message, error.fix)
            return ANY

    def text(self, template: str, path: Path, names: VisibleNames, *, name: bool = False) -> None:
        """Check a text for people. A `name` may not be a list or an object either."""
        given = self.infer(template, path, names)
        if given == NULL or (
            name and kinds(without_null(given)) & {"list", "object"} and given != ANY
        ):
            self._diagnostics.add(
                path, f"must be a text, not {given}", "give it a text: `| default('...')`"
            )

    def value(self, value: Any, schema: Schema, path: Path, names: VisibleNames) -> None:
        """Check a value against a JSON Schema."""
        self.expressions.append(CheckedExpression(path, value, names, schema=schema))
        for mismatch in schema_mismatches(
            value, schema, path, lambda template, place: self.infer(template, place, names)
        ):
            self._diagnostics.add(mismatch.path, mismatch.message, mismatch.fix, key=mismatch.key)
        self._refuse_templates_in_keys(value, path)

    def kind(self, value: Any, wanted: Type, path: Path, names: VisibleNames) -> Type:
        """Check a template that must yield a type, and return what it yields.

        A value without a template is checked by its schema, and may be anything here.
        """
        if not (isinstance(value, str) and is_template(value)):
            return ANY
        given = self.infer(value, path, names)
        if not fits(given, wanted) or given == NULL:
            self._diagnostics.add(path, f"must be {wanted}, not {given}")
        return given

    def duration(self, value: Any, path: Path, names: VisibleNames) -> None:
        """Check a template that must yield a duration; every text that it can yield is one."""
        for option in members(self.kind(value, DURATION, path, names)):
            for text in sorted(option.values or ()) if isinstance(option, Scalar) else ():
                try:
                    parse_duration(text)
                except Invalid as error:
                    self._diagnostics.add(path, str(error))

    def item(self, value: Any, path: Path, names: VisibleNames) -> Type:
        """Return the type of the items of a list, or of a whole-value template that yields one."""
        if isinstance(value, list):
            self.value(value, {}, path, names)
            return union(
                self.infer(item, (*path, index), names) if isinstance(item, str) else ANY
                for index, item in enumerate(value)
            )
        given = without_null(self.infer(value, path, names)) if is_template(value) else STRING
        if isinstance(given, ListOf):
            return given.item
        if given != ANY:
            self._diagnostics.add(
                path,
                f"must be a list, not {given}",
                "write a list, or a whole-value ${{ }} that yields one",
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
                self._diagnostics.add(
                    (*path, key), "a key cannot hold an expression", "write a plain key", key=True
                )
            self._refuse_templates_in_keys(item, (*path, key))

    def _are_steps_visible(self, node: Node, path: Path, names: VisibleNames) -> bool:
        """Whether an expression can see all steps that it names. Reports each that it cannot."""
        if names.steps is None:
            return True
        named = {
            keys[1]
            for found in references(node)
            if (keys := found.split("."))[0] == "steps" and len(keys) > 1
        }
        hidden = sorted(name for name in named if name not in names.steps)
        for name in hidden:
            if name in self._ids:
                self._diagnostics.add(path, *self._why_hidden(name, self._ids[name], path))
            else:
                self._diagnostics.add(
                    path, f"unknown step {name!r}", did_you_mean(name, names.steps)
                )
        return not hidden

    def _why_hidden(self, name: str, target: Path, place: Path) -> tuple[str, str]:
        shared = next(
            (
                end
                for end, (one, other) in enumerate(zip(target, place, strict=False))
                if one != other
            ),
            min(len(target), len(place)),
        )
        if shared == len(target):
            return f"step {name!r} has not ended here", "use its result in a later step"
        for end in range(shared + 1, len(target)):
            block = value_at(self._data, target[:end])
            if is_step(target[:end]) and isinstance(block, dict) and "for_each" in block:
                return (
                    f"step {name!r} is inside of the for_each {block.get('id')!r}",
                    f"use steps.{block.get('id')}.items",
                )
        if target[shared - 1] == "parallel":
            return f"step {name!r} runs at the same time", "move it before the parallel block"
        if target[shared - 1] == "choose" or (shared > 1 and target[shared - 2] == "choose"):
            return f"step {name!r} is in another branch of the same choose", "only one branch runs"
        return f"step {name!r} runs later", "move it up"
