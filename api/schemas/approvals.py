"""Request bodies of the approval routes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from api.schemas.request_model import RequestModel, Text, example
from orchestrator.briefing.examples import EXAMPLE_DIGEST
from orchestrator.domain.approval import DecisionType, ReviewState
from orchestrator.store.search.selection import MOST

Id = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Digest = Annotated[str, Field(min_length=1, max_length=128)]
Changes = Annotated[
    list[Annotated[str, Field(max_length=128)]] | None,
    Field(max_length=5000, description="Digests of the approved changes; null: all of them."),
]


class Decide(RequestModel):
    """One person's decision. It counts only with the digest of the approval that they saw."""

    model_config = example(
        {"decision": "approve", "digest": EXAMPLE_DIGEST, "comment": "seen it on the proxy too"}
    )

    decision: DecisionType
    digest: Digest
    comment: Text = ""
    changes: Changes = None
    form: Annotated[
        dict[str, Any] | None, Field(description="The fields of an approval of kind `form`.")
    ] = None


class DecideBatchItem(RequestModel):
    """One approval of a batch, as the person saw it."""

    id: Id
    digest: Digest
    changes: Changes = None


class DecideBatch(RequestModel):
    """One person's decision on approvals of a batch: those that they saw, and no other."""

    model_config = example(
        {
            "decision": "approve",
            "items": [{"id": "apr_1f0c", "digest": EXAMPLE_DIGEST}],
            "comment": "one scanner, seen on the proxy too",
        }
    )

    decision: DecisionType
    items: Annotated[
        list[DecideBatchItem],
        Field(min_length=1, max_length=MOST, description="Each approval with its digest."),
    ]
    comment: Text = ""
    form: Annotated[
        dict[str, Any] | None,
        Field(description="The fields of approvals of kind `form`, the same for each."),
    ] = None


class Withdraw(RequestModel):
    """The withdrawal of your approval."""

    model_config = example({"comment": "it is the scanner of the auditors"})

    comment: Text = ""


class HandOver(RequestModel):
    """A hand-over of an approval to another group."""

    model_config = example({"to": "soc-night", "reason": "the end of our shift"})

    to: Annotated[str, Field(min_length=1, max_length=64, description="The group that decides.")]
    reason: Annotated[str, Field(min_length=1, max_length=4000)]


class BreakGlass(RequestModel):
    """A lone approval, which another person reviews."""

    model_config = example(
        {
            "digest": EXAMPLE_DIGEST,
            "reason": "the leads are on a plane, the host is being encrypted",
        }
    )

    digest: Digest
    reason: Annotated[
        str, Field(min_length=10, max_length=4000, description="Why no other approver can decide.")
    ]
    changes: Changes = None


class ReviewBreakGlass(RequestModel):
    """Your review of a break-glass approval."""

    model_config = example({"verdict": "accepted", "comment": "right: there was no time"})

    verdict: Literal[ReviewState.ACCEPTED, ReviewState.OBJECTED]
    comment: Text = ""
