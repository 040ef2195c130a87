"""`tocsin approval`: approvals of exact changes, and people's decisions on them."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from orchestrator.cli.approvals.batch import MOST, find_batch, is_batch, list_rows
from orchestrator.cli.approvals.choice import Choice
from orchestrator.cli.approvals.decide import confirmed, decide_all
from orchestrator.cli.approvals.find import APPROVALS, find_approval
from orchestrator.cli.approvals.render import list_row, outcome, render_approval, render_batch
from orchestrator.cli.command import Answer, Api, api_command, noun, table
from orchestrator.cli.filters import (
    AlertClass,
    Incident,
    Observable,
    Oldest,
    Person,
    Playbook,
    Severity,
    Since,
    Source,
    Target,
    Until,
    period,
    sort,
)
from orchestrator.cli.options import Limit

app = noun("Approvals: decide on the exact changes that a run wants to make.")

ApprovalId = Annotated[
    str, typer.Argument(metavar="ID", help="The approval's id, or its first characters.")
]
ApprovalIds = Annotated[
    list[str],
    typer.Argument(
        metavar="ID...", help="Ids of approvals or batches (bat_), or their first characters."
    ),
]
ApprovalOrBatch = Annotated[
    str,
    typer.Argument(metavar="ID", help="An approval or a batch (bat_), or its first characters."),
]
Digest = Annotated[
    str | None,
    typer.Option(
        help="For scripts: the digest that `show` prints. The decision covers nothing else, and no "
        "question is asked."
    ),
]
Yes = Annotated[
    bool, typer.Option("--yes", "-y", help="Decide what is shown without asking for a y.")
]
Fields = Annotated[
    list[str] | None,
    typer.Option(
        "--field", metavar="NAME=VALUE", help="A field of a form. Repeatable; `show` lists them."
    ),
]
Comment = Annotated[str, typer.Option(help="Why; recorded in the audit trail.")]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--change", help="The digest of a change to approve. Repeatable; without it, all changes."
    ),
]
State = Literal["pending", "approved", "declined", "expired", "withdrawn", "void", "all"]

_PENDING = (
    "id",
    "count",
    "expires_at",
    "age",
    "severity",
    "playbook",
    "targets",
    "progress",
    "mine",
)
_DECIDED = ("id", "state", "playbook", "targets", "decided_at", "by", "review")
_WIDE = ("question", "created_at", "run_id")


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
    mine: Annotated[
        bool, typer.Option("--mine", help="Only those that wait for your decision.")
    ] = False,
    since: Since = None,
    until: Until = None,
    playbook: Playbook = None,
    source: Source = None,
    alert_class: AlertClass = None,
    severity: Severity = None,
    incident: Incident = None,
    person: Person = None,
    target: Target = None,
    observable: Observable = None,
    oldest: Oldest = False,
    limit: Limit = 50,
) -> Answer:
    """List approvals: pending ones by when they expire, others newest first.

    Pending approvals of one batch are one line, with their count; `-o json` lists each.
    """
    chosen = state or (None if review else "pending")
    query = {
        **period(since, until),
        "state": None if chosen == "all" or mine else chosen,
        "review": review,
        "mine": "true" if mine else None,
        "playbook": playbook,
        "source": source,
        "class": alert_class,
        "severity": severity,
        "incident_id": incident,
        "person": person,
        "target": target,
        "observable": observable,
        "sort": sort(oldest=oldest),
    }
    found = api.items("/v1/approvals", limit, **query)
    if mine or chosen == "pending":
        return Answer(found, table(list(list_rows(found)), *_PENDING, wide=_WIDE).text)
    return Answer(found, table([list_row(each) for each in found], *_DECIDED, wide=_WIDE).text)


@api_command(app, "show")
def show_approval(api: Api, approval_id: ApprovalOrBatch) -> Answer:
    """Show an approval with the exact changes that it covers, or all that is open in a batch."""
    if is_batch(approval_id):
        batch = find_batch(api, approval_id)
        found = api.items(APPROVALS, MOST, batch=batch, state="pending")
        if not found:
            return Answer(found, f"nothing is pending in batch {batch}")
        return Answer(found, "\n".join(render_batch(found)))
    approval = find_approval(api, approval_id)
    return Answer(approval, "\n".join(render_approval(approval)))


@api_command(app, "approve")
def approve(
    api: Api,
    approval_ids: ApprovalIds,
    *,
    digest: Digest = None,
    yes: Yes = False,
    changes: Changes = None,
    fields: Fields = None,
    comment: Comment = "",
) -> Answer:
    """Approve what is shown, after a y; of one approval, some of its changes.

    A batch is decided as it is shown: what joins it meanwhile stays open.
    """
    choice = Choice("approve", comment, changes or None, fields or None)
    return decide_all(api, approval_ids, choice, digest, yes=yes)


@api_command(app, "answer")
def answer(
    api: Api,
    approval_id: ApprovalId,
    *,
    fields: Fields = None,
    digest: Digest = None,
    yes: Yes = False,
    comment: Comment = "",
) -> Answer:
    """Fill in a form: one `--field NAME=VALUE` for each of its fields."""
    choice = Choice("approve", comment, None, fields or [])
    return decide_all(api, [approval_id], choice, digest, yes=yes)


@api_command(app, "decline")
def decline(
    api: Api,
    approval_ids: ApprovalIds,
    *,
    digest: Digest = None,
    yes: Yes = False,
    comment: Comment = "",
) -> Answer:
    """Decline what is shown, after a y; one person is enough."""
    return decide_all(api, approval_ids, Choice("decline", comment), digest, yes=yes)


@api_command(app, "withdraw")
def withdraw(api: Api, approval_id: ApprovalId, comment: Comment = "") -> Answer:
    """Withdraw your approval while not all of its changes are made."""
    found = find_approval(api, approval_id)["id"]
    done = api.post(f"/v1/approvals/{found}/withdraw", {"comment": comment})
    return Answer(done, "\n".join(filter(None, (outcome(done["approval"]), done["note"]))))


@api_command(app, "hand-over")
def hand_over(
    api: Api,
    approval_id: ApprovalId,
    *,
    to: Annotated[str, typer.Option(metavar="GROUP", help="The group that decides from now on.")],
    reason: Annotated[str, typer.Option(help="Why; recorded in the audit trail.")],
) -> Answer:
    """Let another group decide, where the policy allows it for the group that is asked."""
    found = find_approval(api, approval_id)["id"]
    approval = api.post(f"/v1/approvals/{found}/hand-over", {"to": to, "reason": reason})
    return Answer(approval, f"approval {found}: {approval['by']} decides")


@api_command(app, "break-glass")
def break_glass(
    api: Api,
    approval_id: ApprovalId,
    *,
    reason: Annotated[
        str,
        typer.Option(help="Why no one else can decide, in 10 characters or more."),
    ],
    digest: Digest = None,
    yes: Yes = False,
    changes: Changes = None,
) -> Answer:
    """Approve alone, as an admin. Another person must review it afterwards."""
    shown = confirmed(api, approval_id, "Approve alone", digest, yes=yes)
    body = {"digest": digest or shown["digest"], "reason": reason, "changes": changes or None}
    approval = api.post(f"/v1/approvals/{shown['id']}/break-glass", body)
    return Answer(
        approval,
        f"{outcome(approval)}\nreview required: `tocsin approval list --review pending`",
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
    found = find_approval(api, approval_id)["id"]
    approval = api.post(f"/v1/approvals/{found}/review", body)
    return Answer(approval, f"approval {found}: break-glass review {verdict}")
