"""Changes: planned, evaluated, approved, applied and undone, and the policy's verdict on them."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from orchestrator.domain.digest import digest
from orchestrator.domain.model import Frozen
from orchestrator.domain.observable import Target


class Effect(StrEnum):
    """The kinds of action. All but `read` pass through the change pipeline."""

    READ = "read"
    CONTAIN = "contain"  # raises a defence; has an undo
    RESTORE = "restore"  # lowers a defence
    NOTIFY = "notify"  # a ticket, a message
    DESTROY = "destroy"  # no undo; the policy asks for approval by default

    @property
    def changes(self) -> bool:
        """Whether the world is different afterwards."""
        return self is not Effect.READ


class Verdict(StrEnum):
    """What the policy says of a change."""

    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"


class PolicyVerdict(Frozen):
    """The policy's verdict on one change."""

    outcome: Verdict
    reasons: tuple[str, ...]
    policy_version: int
    policy_digest: str
    by: str | None = None  # the group that must approve; None: every approver
    quorum: int = 1
    rule: str | None = None  # the rule that decided; None: a protection or a kill switch did


class PlannedChange(Frozen):
    """What an action's plan returns. Vendors add fields, such as what was there before.

    `changed: False` means that the target is already in the desired state, so that there is nothing
    to apply and nothing to undo.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: Target
    changed: bool
    summary: Annotated[
        str, Field(max_length=500, description="One line for the person who approves")
    ]


class Change(Frozen):
    """One exact change, as it is evaluated, approved, recorded, applied and undone."""

    connection: str
    connector: str
    action: str
    effect: Effect
    input: dict[str, Any]
    planned_change: dict[str, Any]

    @property
    def digest(self) -> str:
        """SHA-256 over RFC 8785 JSON of the whole change."""
        return digest(self.model_dump(mode="json"))

    @property
    def target(self) -> Target:
        """The target of the change."""
        return Target.model_validate(self.planned_change["target"])

    @property
    def changed(self) -> bool:
        """Whether applying it would change anything."""
        return bool(self.planned_change["changed"])

    @property
    def summary(self) -> str:
        """One line for the person who approves."""
        return str(self.planned_change["summary"])

    @property
    def containment_key(self) -> str:
        """The key of the containment that runs share: connection, action and canonical target."""
        return digest([self.connection, self.action, self.target.type.value, self.target.value])[
            :32
        ]
