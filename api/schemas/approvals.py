"""How does a question to people look, and how is it answered?"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from api.schemas.written import Text, Written, example

ApprovalState = Literal["pending", "approved", "declined", "expired", "withdrawn"]
_DIGEST = "6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7e8f901234567"
_RECEIPT = {
    "connection": "firewall",
    "connector": "palo_alto",
    "action": "block_address",
    "effect": "contain",
    "input": {"address": "198.51.100.7"},
    "target": {"type": "address", "value": "198.51.100.7"},
    "summary": "Tag 198.51.100.7 as blocked",
    "changed": True,
    "digest": _DIGEST,
    "receipt": {"target": {"type": "address", "value": "198.51.100.7"}, "changed": True, "summary": "Tag 198.51.100.7 as blocked"},
}


class ReceiptView(BaseModel):
    """One exact change that is asked about."""

    model_config = example(_RECEIPT)

    connection: str
    connector: str
    action: str
    effect: str
    input: dict[str, Any]
    target: dict[str, Any]
    summary: str
    changed: bool
    digest: str
    receipt: dict[str, Any]


class AnswerView(BaseModel):
    """What one person answered."""

    person: str
    decision: Literal["approve", "decline"]
    comment: str
    form: dict[str, Any] | None
    at: datetime


class Approval(BaseModel):
    """A question about exact changes (`change`), or for a `form` to be filled; an answer is bound to its digest."""

    model_config = example(
        {
            "id": "apr_1f0c",
            "digest": _DIGEST,
            "kind": "change",
            "question": "Block 198.51.100.7?",
            "receipts": [_RECEIPT],
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
            "asked_at": "2026-01-01T12:00:01Z",
            "expires_at": "2026-01-01T12:15:01Z",
            "decided_at": None,
        }
    )

    id: str
    digest: str
    kind: Literal["change", "form"]
    question: str
    receipts: list[ReceiptView]
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
    asked_at: datetime
    expires_at: datetime
    decided_at: datetime | None


class Decide(Written):
    """One person's answer. It counts only with the digest that was shown."""

    model_config = example({"decision": "approve", "digest": _DIGEST, "comment": "seen it on the proxy too"})

    decision: Literal["approve", "decline"]
    digest: Annotated[str, Field(min_length=1, max_length=128)]
    comment: Text = ""
    changes: Annotated[
        list[Annotated[str, Field(max_length=128)]] | None,
        Field(max_length=5000, description="Digests of the receipts that may be made; null: all of them."),
    ] = None
    form: Annotated[dict[str, Any] | None, Field(description="For a question of kind `form`: its fields.")] = None
