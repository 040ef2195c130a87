"""Capabilities: shared action signatures that playbooks use and connectors implement."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from orchestrator.domain.change import Effect, PlannedChange


class Input(BaseModel):
    """What an author passes to an action under `with:`. Unknown fields are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


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

    def result_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of `steps.ID` after the step.

        A read has the fields of `output`; a change also has `changed`, `summary` and `target`.
        """
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
