"""`tocsin approval`: approvals of exact changes, and people's decisions on them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import typer

from orchestrator.cli.command import Answer, Api, api_command, noun, table
from orchestrator.cli.options import Limit

app = noun("Approvals: decide on the exact changes that a run wants to make.")

ApprovalId = Annotated[str, typer.Argument(metavar="ID", help="The approval's id.")]
Digest = Annotated[
    str, typer.Option(help="The digest that `show` prints: the decision covers nothing else.")
]
Comment = Annotated[str, typer.Option(help="Why; recorded in the audit trail.")]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--change", help="The digest of a change to approve. Repeatable; without it, all changes."
    ),
]
State = Literal["pending", "approved", "declined", "expired", "withdrawn", "void", "all"]

_COLUMNS = ("id", "state", "question", "by", "quorum", "expires_at", "run_id", "review")


@api_command(app, "list")
def list_approvals(
    api: Api,
    state: Annotated[
        State | None, typer.Option(help="Only approvals in this state; without it, pending ones.")
    ] = None,
    review: Annotated[
        Literal["pending", "accepted", "objected"] | None,
        typer.Option(help="Only break-glass approvals with this review."),
    ] = None,
    limit: Limit = 50,
) -> Answer:
    """List approvals, newest first."""
    chosen = state or (None if review else "pending")
    query = {"state": None if chosen == "all" else chosen, "review": review}
    found = api.items("/v1/approvals", limit, **query)
    answer = table([_with_review(each) for each in found], *_COLUMNS)
    return Answer(found, answer.text)


@api_command(app, "show")
def show_approval(api: Api, approval_id: ApprovalId) -> Answer:
    """Show an approval with the exact changes that it covers."""
    approval = api.get(f"/v1/approvals/{approval_id}")
    return Answer(approval, "\n".join(render_approval(approval)))


@api_command(app, "approve")
def approve(
    api: Api,
    approval_id: ApprovalId,
    digest: Digest,
    changes: Changes = None,
    comment: Comment = "",
) -> Answer:
    """Approve the changes that `show` prints, or some of them."""
    body = {
        "decision": "approve",
        "digest": digest,
        "comment": comment,
        "changes": changes or None,
    }
    return _decided(api.post(f"/v1/approvals/{approval_id}/decide", body))


@api_command(app, "decline")
def decline(api: Api, approval_id: ApprovalId, digest: Digest, comment: Comment = "") -> Answer:
    """Decline; one person is enough."""
    body = {"decision": "decline", "digest": digest, "comment": comment}
    return _decided(api.post(f"/v1/approvals/{approval_id}/decide", body))


@api_command(app, "withdraw")
def withdraw(api: Api, approval_id: ApprovalId, comment: Comment = "") -> Answer:
    """Withdraw your approval while not all of its changes are made."""
    done = api.post(f"/v1/approvals/{approval_id}/withdraw", {"comment": comment})
    return Answer(done, "\n".join(filter(None, (_outcome(done["approval"]), done["note"]))))


@api_command(app, "break-glass")
def break_glass(
    api: Api,
    approval_id: ApprovalId,
    digest: Digest,
    reason: Annotated[
        str,
        typer.Option(help="Why no one else can decide, in 10 characters or more."),
    ],
    changes: Changes = None,
) -> Answer:
    """Approve alone, as an admin. Another person must review it afterwards."""
    body = {"digest": digest, "reason": reason, "changes": changes or None}
    approval = api.post(f"/v1/approvals/{approval_id}/break-glass", body)
    return Answer(
        approval,
        f"{_outcome(approval)}\nreview required: `tocsin approval list --review pending`",
    )


@api_command(app, "review")
def review_break_glass(
    api: Api,
    approval_id: ApprovalId,
    verdict: Annotated[
        Literal["accepted", "objected"], typer.Argument(help="Whether the decision was right.")
    ],
    comment: Comment = "",
) -> Answer:
    """Review another person's break-glass approval."""
    body = {"verdict": verdict, "comment": comment}
    approval = api.post(f"/v1/approvals/{approval_id}/review", body)
    return Answer(approval, f"approval {approval_id}: break-glass review {verdict}")


def render_approval(approval: dict[str, Any]) -> Iterator[str]:
    """Yield the lines that a person reads before deciding."""
    replaced = f", replaced by {approval['replaced_by']}" if approval["replaced_by"] else ""
    yield f"{approval['id']}: {approval['state']}{replaced}"
    yield f"  {approval['question']}"
    yield (
        f"  {approval['playbook']} version {approval['version']}, step {approval['path']}, "
        f"run {approval['run_id']}"
    )
    yield _eligible(approval)
    yield from (f"  because {reason}" for reason in approval["reasons"])
    for each in approval["planned_changes"]:
        target = f"{each['target']['type']} {each['target']['value']}"
        yield f"  {each['effect']}  {each['connection']}.{each['action']}  {target}"
        yield f"    {each['summary']}"
        yield f"    change {each['digest']}"
    yield from (f"  {line}" for line in _decisions(approval))
    yield f"  digest {approval['digest']}"


def _eligible(approval: dict[str, Any]) -> str:
    level = f", escalation level {approval['level']}" if approval["level"] else ""
    people = approval["by"] or "anyone who may decide"
    return f"  asks {people}, quorum {approval['quorum']}{level}, expires {approval['expires_at']}"


def _decisions(approval: dict[str, Any]) -> Iterator[str]:
    for each in approval["decisions"]:
        comment = f": {each['comment']}" if each["comment"] else ""
        withdrawn = f", withdrawn at {each['withdrawn_at']}" if each["withdrawn_at"] else ""
        decision = f"{each['person']}: {each['decision']} at {each['decided_at']} by {each['via']}"
        yield f"{decision}{withdrawn}{comment}"
    if alone := approval["break_glass"]:
        reviewer = f" by {alone['reviewed_by']}" if alone["reviewed_by"] else ""
        yield (f"{alone['by']}: break-glass: {alone['reason']}; review {alone['review']}{reviewer}")


def _decided(approval: dict[str, Any]) -> Answer:
    return Answer(approval, _outcome(approval))


def _outcome(approval: dict[str, Any]) -> str:
    count = sum(
        each["decision"] == "approve" and each["withdrawn_at"] is None
        for each in approval["decisions"]
    )
    progress = (
        f", {count} of {approval['quorum']} approvals" if approval["state"] == "pending" else ""
    )
    return f"approval {approval['id']}: {approval['state']}{progress}"


def _with_review(approval: dict[str, Any]) -> dict[str, Any]:
    alone = approval["break_glass"]
    return {**approval, "review": alone["review"] if alone else None}
