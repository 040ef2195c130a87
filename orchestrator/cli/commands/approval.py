"""`tocsin approval`: what is asked, of whom, about which exact changes, and how is it answered?"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any

import typer

from orchestrator.cli.api_client import Url, remote
from orchestrator.cli.options import AsJson, Config, DataDir
from orchestrator.cli.output import listing, say, show_json

app = typer.Typer(
    help="Questions to people, through the API of a running stack.", no_args_is_help=True
)

ApprovalId = Annotated[str, typer.Argument(metavar="ID", help="The approval's id.")]
Digest = Annotated[str, typer.Option(help="Of what was shown: nothing else is agreed to.")]
Comment = Annotated[str, typer.Option(help="Why; kept in the audit trail.")]
Only = Annotated[
    list[str] | None,
    typer.Option(
        "--change", help="Digest of a change that may be made, as `show` prints it; else all may."
    ),
]

_COLUMNS = ("id", "state", "question", "by", "quorum", "expires_at", "run_id", "review")


class Review(StrEnum):
    """What was said of a broken glass."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    OBJECTED = "objected"


class Verdict(StrEnum):
    """What can be said of a broken glass."""

    ACCEPTED = "accepted"
    OBJECTED = "objected"


@app.command("list")
def show_approvals(
    state: Annotated[
        str | None,
        typer.Option(
            help="pending, approved, declined, expired, withdrawn, void, or all; else pending."
        ),
    ] = None,
    review: Annotated[
        Review | None,
        typer.Option(help="Those where the glass was broken, by what was said of it."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most, newest first.")] = 50,
    as_json: AsJson = False,
    url: Url = None,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Questions to people, newest first: the pending ones, unless others are asked for."""
    chosen = state or (None if review else "pending")
    query = {
        "state": None if chosen == "all" else chosen,
        "review": review.value if review else None,
    }
    found = remote(data_dir, config, url).items("/v1/approvals", limit, **query)
    listing(found if as_json else map(_in_line, found), _COLUMNS, as_json=as_json)


@app.command("show")
def show_approval(
    approval_id: ApprovalId,
    as_json: AsJson = False,
    url: Url = None,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """One question with the exact changes it is about."""
    found = remote(data_dir, config, url).get(f"/v1/approvals/{approval_id}")
    if as_json:
        show_json(found)
        return
    for line in lines(found):
        say(line)


@app.command("approve")
def approve(
    approval_id: ApprovalId,
    digest: Digest,
    change: Only = None,
    comment: Comment = "",
    url: Url = None,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Agree with the changes that `show` prints, or with some of them."""
    body = {"decision": "approve", "digest": digest, "comment": comment, "changes": change or None}
    _answered(remote(data_dir, config, url).post(f"/v1/approvals/{approval_id}/decision", body))


@app.command("decline")
def decline(
    approval_id: ApprovalId,
    digest: Digest,
    comment: Comment = "",
    url: Url = None,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Say no; one no is enough."""
    body = {"decision": "decline", "digest": digest, "comment": comment}
    _answered(remote(data_dir, config, url).post(f"/v1/approvals/{approval_id}/decision", body))


@app.command("withdraw")
def withdraw(
    approval_id: ApprovalId,
    comment: Comment = "",
    url: Url = None,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Take back what you approved, as long as its changes are not all made."""
    done = remote(data_dir, config, url).post(
        f"/v1/approvals/{approval_id}/withdrawal", {"comment": comment}
    )
    _answered(done["approval"])
    if done["note"]:
        say(done["note"])


@app.command("break-glass")
def break_glass(
    approval_id: ApprovalId,
    digest: Digest,
    reason: Annotated[
        str,
        typer.Option(
            help="Why nobody else can be asked, in ten letters at least; somebody else will read it."
        ),
    ],
    change: Only = None,
    url: Url = None,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Approve alone, as an admin. Somebody else reviews it afterwards."""
    body = {"digest": digest, "reason": reason, "changes": change or None}
    _answered(remote(data_dir, config, url).post(f"/v1/approvals/{approval_id}/break-glass", body))
    say("somebody else has to review it: `tocsin approval list --review pending`")


@app.command("review")
def review(
    approval_id: ApprovalId,
    verdict: Annotated[Verdict, typer.Argument(help="Whether it was right.")],
    comment: Comment = "",
    url: Url = None,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Say of a decision that somebody took alone whether it was right."""
    remote(data_dir, config, url).post(
        f"/v1/approvals/{approval_id}/review", {"verdict": verdict.value, "comment": comment}
    )
    say(f"approval {approval_id}: the breaking of the glass is {verdict.value}")


def lines(found: dict[str, Any]) -> Iterator[str]:
    """An approval for a person to read before agreeing."""
    yield f"{found['id']}: {found['state']}" + (
        f", asked anew as {found['replaced_by']}" if found["replaced_by"] else ""
    )
    yield f"  {found['question']}"
    yield f"  for {found['playbook']} version {found['version']}, step {found['path']}, run {found['run_id']}"
    level = f", level {found['level']} of the chain" if found["level"] else ""
    yield f"  asked of {found['by'] or 'anyone who may decide'}, {found['quorum']} to agree{level}, until {found['expires_at']}"
    yield from (f"  because {reason}" for reason in found["reasons"])
    for each in found["planned_changes"]:
        yield f"  {each['effect']}  {each['connection']}.{each['action']}  {each['target']['type']} {each['target']['value']}"
        yield f"    {each['summary']}"
        yield f"    change {each['digest']}"
    yield from (f"  {line}" for line in _said(found))
    yield f"  digest {found['digest']}"


def _said(found: dict[str, Any]) -> Iterator[str]:
    for each in found["answers"]:
        comment = f": {each['comment']}" if each["comment"] else ""
        back = f", taken back at {each['withdrawn_at']}" if each["withdrawn_at"] else ""
        yield f"{each['person']} said {each['decision']} at {each['at']} by {each['via']}{back}{comment}"
    if glass := found["glass"]:
        by = f" by {glass['reviewed_by']}" if glass["reviewed_by"] else ""
        yield f"{glass['broken_by']} decided alone: {glass['reason']}; review {glass['review']}{by}"


def _answered(found: dict[str, Any]) -> None:
    agreeing = sum(
        each["decision"] == "approve" and each["withdrawn_at"] is None for each in found["answers"]
    )
    waiting = (
        f", {agreeing} of {found['quorum']} have agreed" if found["state"] == "pending" else ""
    )
    say(f"approval {found['id']} is {found['state']}{waiting}")


def _in_line(found: dict[str, Any]) -> dict[str, Any]:
    return {**found, "review": found["glass"]["review"] if found["glass"] else None}
