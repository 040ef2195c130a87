"""What a capability declares: its name, its usual connection name, and the signature of each action."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from orchestrator.domain.change import Effect, PlannedChange


class Input(BaseModel):
    """What an author gives an action under `with:`. Unknown fields are errors; values are put in canonical spelling."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Output(BaseModel):
    """What a read answers, or what an applied change tells (a ticket's key)."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Nothing(Output):
    """A change that tells nothing beyond its planned_change."""


class ActionSpec(BaseModel):
    """The signature of one action, the same for every vendor.

    `steps.ID` of a read has the fields of `output`; of a change, those of `output` beside `changed`, `summary`, `target`.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    name: str
    effect: Effect
    input: type[Input]
    output: type[Output] = Nothing
    summary: str

    def result_schema(self) -> dict[str, Any]:
        """JSON Schema of what `steps.ID` holds once the step is done."""
        schema = self.output.model_json_schema(mode="serialization")
        if self.effect.changes:
            planned_change = PlannedChange.model_json_schema(mode="serialization")
            schema = {
                **schema,
                "properties": {**schema.get("properties", {}), **planned_change["properties"]},
                "$defs": {**schema.get("$defs", {}), **planned_change.get("$defs", {})},
            }
        return schema


class Capability:
    """Subclassed once per kind of system; vendors inherit it beside `Connector`."""

    capability: ClassVar[str]
    usual_connection: ClassVar[str]  # the name that playbooks use unless told otherwise
    actions: ClassVar[tuple[ActionSpec, ...]]

    @classmethod
    def spec(cls, action: str) -> ActionSpec:
        """The signature of the named action. Raises KeyError."""
        for spec in cls.actions:
            if spec.name == action:
                return spec
        raise KeyError(action)
