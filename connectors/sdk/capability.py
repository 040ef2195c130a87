"""Capabilities: shared action signatures that playbooks use and connectors implement.

Texts for people, such as a title, are shortened to what vendors take: one that is too long must not
cost a ticket. An identifier is never shortened: a part of it names something else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from orchestrator.domain.change import RESULT_FIELDS, Effect, PlannedChange

ELLIPSIS = "…"


@dataclass(frozen=True, slots=True)
class DisplayText:
    """Marks a field of an action's input as a text for people, with the vendors' common limit.

    Use it in `Annotated`, next to `Field(max_length=...)` with the same limit.
    """

    limit: int
    """UTF-16 code units, as most vendors count."""
    whole_in: str | None = None
    """The field in front of which the whole text is put where it is shortened."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Tell readers of the JSON Schema that a longer text is shortened, and not refused."""
        return {**handler(schema), "x-shortened": True}


def shorten(text: str, limit: int) -> str:
    """Return the text with at most `limit` UTF-16 code units, the last one `…` where it is cut."""
    if _units(text) <= limit:
        return text
    kept = text[:limit]
    while _units(kept) > limit - 1:
        kept = kept[: len(kept) - max(1, (_units(kept) - limit + 1) // 2)]
    return kept.rstrip() + ELLIPSIS


def fit_texts(data: Mapping[str, Any], fields: Mapping[str, DisplayText]) -> dict[str, Any]:
    """Return an input with its display texts shortened, and whole texts where they belong."""
    fitted = dict(data)
    for name, field in fields.items():
        text = fitted.get(name)
        if not isinstance(text, str) or _units(text) <= field.limit:
            continue
        fitted[name] = shorten(text, field.limit)
        rest = fitted.get(field.whole_in, "") if field.whole_in else None
        if field.whole_in and isinstance(rest, str) and text not in rest:
            fitted[field.whole_in] = f"{text}\n\n{rest}" if rest else text
    return fitted


def _units(text: str) -> int:
    return len(text) + sum(character > "\uffff" for character in text)


class Input(BaseModel):
    """What an author passes to an action under `with:`. Unknown fields are errors.

    A text that is marked as a DisplayText is shortened; any other that is too long is an error.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _fit_display_texts(cls, data: Any) -> Any:
        return fit_texts(data, cls._display_texts()) if isinstance(data, dict) else data

    @classmethod
    def _display_texts(cls) -> dict[str, DisplayText]:
        """Return the fields that are display texts, in the order of the fields."""
        marks = ((name, field.metadata) for name, field in cls.model_fields.items())
        return {
            name: mark for name, found in marks for mark in found if isinstance(mark, DisplayText)
        }


class Output(BaseModel):
    """The result of a read, or what an applied change returns, such as a ticket's key."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NoOutput(Output):
    """The output of a change that returns nothing besides its planned change."""


class ActionSpec(BaseModel):
    """The signature of one action, the same for every vendor."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    name: str
    effect: Effect
    input: type[Input]
    output: type[Output] = NoOutput
    summary: str
    restores: str | None = None
    """The action whose containments this one lifts: their leases end with it."""

    def result_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of `steps.ID` after the step.

        A read has the fields of `output`; a change also has `changed`, `summary` and `target`.
        """
        schema = self.output.model_json_schema(mode="serialization")
        if self.effect.changes:
            planned_change = PlannedChange.model_json_schema(mode="serialization")
            schema = {
                **schema,
                "properties": {
                    **schema.get("properties", {}),
                    **{name: planned_change["properties"][name] for name in RESULT_FIELDS},
                },
                "$defs": {**schema.get("$defs", {}), **planned_change.get("$defs", {})},
            }
        return schema


class Capability:
    """A kind of system. A connector inherits it together with `Connector`."""

    capability: ClassVar[str]
    default_connection: ClassVar[str]  # the connection that a playbook uses by default
    actions: ClassVar[tuple[ActionSpec, ...]]

    @classmethod
    def spec(cls, action: str) -> ActionSpec:
        """Return the signature of the named action. Raises KeyError."""
        for spec in cls.actions:
            if spec.name == action:
                return spec
        raise KeyError(action)
