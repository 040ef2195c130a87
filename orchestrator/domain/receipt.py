"""The receipt: what a plan found would change, and what is needed to take it back."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from orchestrator.domain.digest import digest
from orchestrator.domain.effect import Effect
from orchestrator.domain.model import Frozen
from orchestrator.domain.observable import Target


class Receipt(Frozen):
    """What a vendor's plan returns; vendors add fields of their own (what was there before, object names).

    `changed: False` says the world already is as asked, so that there is nothing to apply and nothing of ours to undo.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: Target
    changed: bool
    summary: Annotated[str, Field(max_length=500, description="One line for the person who approves")]


class Change(Frozen):
    """One exact change, as it is judged, approved, recorded, applied and undone."""

    connection: str
    connector: str
    action: str
    effect: Effect
    input: dict[str, Any]
    receipt: dict[str, Any]

    @property
    def digest(self) -> str:
        """SHA-256 over RFC 8785 JSON of the whole change."""
        return digest(self.model_dump(mode="json"))

    @property
    def target(self) -> Target:
        """What it touches."""
        return Target.model_validate(self.receipt["target"])

    @property
    def changed(self) -> bool:
        """Whether applying it would change anything."""
        return bool(self.receipt["changed"])

    @property
    def summary(self) -> str:
        """One line for the person who approves."""
        return str(self.receipt["summary"])

    @property
    def containment_key(self) -> str:
        """Names the containment that runs share: connection, action and canonical target."""
        return digest([self.connection, self.action, self.target.type.value, self.target.value])[:32]
