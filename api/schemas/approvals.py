"""How does a question to people look, and how is it answered?"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from api.schemas.request_model import Text, Written, example

ApprovalState = Literal["pending", "approved", "declined", "expired", "withdrawn", "void"]
Review = Literal["pending", "accepted", "objected"]
Changes = Annotated[
    list[Annotated[str, Field(max_length=128)]] | None,
    Field(
        max_length=5000,
        description="Digests of the planned_changes that may be made; null: all of them.",
    ),
]
_DIGEST = "6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7e8f901234567"
_PLANNED_CHANGE = {
    "connection": "firewall",
    "connector": "palo_alto",
    "action": "block_address",
    "effect": "contain",
    "input": {"address": "198.51.100.7"},
    "target": {"type": "address", "value": "198.51.100.7"},
    "summary": "Tag 198.51.100.7 as blocked",
    "changed": True,
    "digest": _DIGEST,
    "planned_change": {
        "target": {"type": "address", "value": "198.51.100.7"},
        "changed": True,
        "summary": "Tag 198.51.100.7 as blocked",
    },
}
_GLASS = {
    "broken_by": "ann",
    "reason": "the leads are on a plane, the host is being encrypted",
    "review": "pending",
    "reviewed_by": None,
    "reviewed_at": None,
    "comment": "",
}
_APPROVAL = {
    "id": "apr_1f0c",
    "digest": _DIGEST,
    "kind": "change",
    "question": "Block 198.51.100.7?",
    "planned_changes": [_PLANNED_CHANGE],
    "form": None,
    "run_id": "run_019a8c7d21f04b6c1e2f3a4b5c6d",
    "path": "contain",
    "playbook": "c2-beacon-containment",
    "version": 3,
    "incident_id": "inc_019a8c7d21f04b6c1e2f3a4b5c6d",
    "by": "soc-leads",
    "quorum": 1,
    "answers": [],
    "state": "pending",
    "reasons": ["the host is critical"],
    "escalated": False,
    "level": 0,
    "replaced_by": None,
    "reminders": 1,
    "glass": None,
    "asked_at": "2026-01-01T12:00:01Z",
    "expires_at": "2026-01-01T12:15:01Z",
    "decided_at": None,
}


class PlannedChangeView(BaseModel):
    """One exact change that is asked about."""

    model_config = example(_PLANNED_CHANGE)

    connection: str
    connector: str
    action: str
    effect: str
    input: dict[str, Any]
    target: dict[str, Any]
    summary: str
    changed: bool
    digest: str
    planned_change: dict[str, Any]


class AnswerView(BaseModel):
    """What one person answered, and whether they took it back."""

    person: str
    decision: Literal["approve", "decline"]
    comment: str
    form: dict[str, Any] | None
    via: Literal["api", "email", "slack"]
    at: datetime
    withdrawn_at: datetime | None


class Glass(BaseModel):
    """A decision that an admin took alone, and what somebody else said of it afterwards."""

    model_config = example(_GLASS)

    broken_by: str
    reason: str
    review: Review
    reviewed_by: str | None
    reviewed_at: datetime | None
    comment: str


class Approval(BaseModel):
    """A question about exact changes (`change`), or for a `form` to be filled; an answer is bound to its digest."""

    model_config = example(_APPROVAL)

    id: str
    digest: str
    kind: Literal["change", "form"]
    question: str
    planned_changes: list[PlannedChangeView]
    form: dict[str, Any] | None
    run_id: str
    path: str
    playbook: str
    version: int
    incident_id: str | None
    by: str | None
    quorum: int
    answers: list[AnswerView]
    state: ApprovalState
    reasons: list[str]
    escalated: bool
    level: Annotated[
        int,
        Field(description="How far up the chain of `escalate_to`; 0: those who were named first."),
    ]
    replaced_by: Annotated[
        str | None, Field(description="Of one that is void: the approval that asks anew.")
    ]
    reminders: int
    glass: Glass | None
    asked_at: datetime
    expires_at: datetime
    decided_at: datetime | None


class Decide(Written):
    """One person's answer. It counts only with the digest that was shown."""

    model_config = example(
        {"decision": "approve", "digest": _DIGEST, "comment": "seen it on the proxy too"}
    )

    decision: Literal["approve", "decline"]
    digest: Annotated[str, Field(min_length=1, max_length=128)]
    comment: Text = ""
    changes: Changes = None
    form: Annotated[
        dict[str, Any] | None, Field(description="For a question of kind `form`: its fields.")
    ] = None


class Withdraw(Written):
    """Take back what you approved."""

    model_config = example({"comment": "it is the scanner of the auditors"})

    comment: Text = ""


class Withdrawal(BaseModel):
    """The approval without your answer, and what of it was begun before."""

    model_config = example(
        {"approval": {**_APPROVAL, "state": "withdrawn"}, "made": [], "note": ""}
    )

    approval: Approval
    made: Annotated[list[str], Field(description="Digests of the changes that were begun already.")]
    note: Annotated[
        str, Field(description="The same for a person to read; empty where nothing was begun.")
    ]


class BreakGlass(Written):
    """Approve alone. Somebody else will be asked to look at it."""

    model_config = example({"digest": _DIGEST, "reason": _GLASS["reason"]})

    digest: Annotated[str, Field(min_length=1, max_length=128)]
    reason: Annotated[
        str, Field(min_length=10, max_length=4000, description="Why nobody else can be asked.")
    ]
    changes: Changes = None


class ReviewGlass(Written):
    """What you say of a decision that was taken alone."""

    model_config = example({"verdict": "accepted", "comment": "right: there was no time"})

    verdict: Literal["accepted", "objected"]
    comment: Text = ""
