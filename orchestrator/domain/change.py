"""Changes: planned, evaluated, approved, applied and undone, and the policy's verdict on them."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import AwareDatetime, ConfigDict, Field

from orchestrator.domain.digest import digest
from orchestrator.domain.model import Frozen
from orchestrator.domain.observable import Extent, Target


class Effect(StrEnum):
    """The kinds of action. All but `read` pass through the change pipeline."""

    READ = "read"
    CONTAIN = "contain"  # raises a defence; has an undo
    RESTORE = "restore"  # lowers a defence
    NOTIFY = "notify"  # a ticket, a message
    DESTROY = "destroy"  # no undo; the policy asks for approval by default
    RELEASE = "release"  # a person ends a lease before its time; no action has this effect

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
    identity: Annotated[
        str | None,
        Field(description="The system's own id of the target, the same for all of its names"),
    ] = None


class Holder(Frozen):
    """A live lease that a restore ends: who holds the target, and until when."""

    lease: Annotated[str, Field(description="The lease: run and step.")]
    containment: Annotated[str, Field(description="The key of the containment.")]
    run: str
    playbook: str | None
    target: Target
    expires_at: Annotated[
        AwareDatetime | None, Field(description="Null: until it is released by hand.")
    ]

    def __str__(self) -> str:
        until = (
            "it is released" if self.expires_at is None else f"{self.expires_at:%Y-%m-%d %H:%MZ}"
        )
        return f"run {self.run} ({self.playbook}) holds {self.target} until {until}"


RESULT_FIELDS = ("target", "changed", "summary")
"""The fields of a planned change that later steps of a playbook see."""


class Change(Frozen):
    """One exact change, as it is evaluated, approved, recorded, applied and undone."""

    connection: str
    connector: str
    action: str
    effect: Effect
    input: dict[str, Any]
    planned_change: dict[str, Any]
    holders: Annotated[
        tuple[Holder, ...], Field(description="The live leases that a restore ends.")
    ] = ()

    @property
    def digest(self) -> str:
        """SHA-256 over RFC 8785 JSON of the change, with the leases that it ends."""
        document = self.model_dump(mode="json", exclude={"holders"})
        leases = sorted(holder.lease for holder in self.holders)
        return digest({**document, "ends": leases} if leases else document)

    @property
    def target(self) -> Target:
        """The target of the change."""
        return Target.model_validate(self.planned_change["target"])

    @property
    def changed(self) -> bool:
        """Whether applying it would change anything: the system, or a lease."""
        return self.changes_system or bool(self.holders)

    @property
    def changes_system(self) -> bool:
        """Whether applying it would change the system."""
        return bool(self.planned_change["changed"])

    @property
    def summary(self) -> str:
        """One line for the person who approves."""
        return " ".join(str(self.planned_change["summary"]).split())

    @property
    def containment_key(self) -> str:
        """The key of the containment that runs share: connection, action and target.

        The target counts by the system's own id of it, or else by its canonical name.
        """
        name = self.identity or self.target.value
        return digest([self.connection, self.action, self.target.type.value, name])[:32]

    @property
    def identity(self) -> str | None:
        """The system's own id of the target, if its plan names one."""
        found = self.planned_change.get("identity")
        return None if found is None else str(found)

    @property
    def extent(self) -> Extent:
        """What the target covers on the system."""
        return Extent.of(self.target, self.identity)
