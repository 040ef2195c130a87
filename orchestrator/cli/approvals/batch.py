"""Batches on the command line: one line in a list, and one decision on all that was shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from orchestrator.cli.api_client import Api
from orchestrator.cli.approvals.choice import Choice, agree, question, read_form
from orchestrator.cli.approvals.find import APPROVALS, find_approval
from orchestrator.cli.approvals.render import list_row, outcome, render_batch
from orchestrator.cli.command import Answer
from orchestrator.cli.exit_codes import ExitCode
from orchestrator.cli.output import print_error
from orchestrator.domain.errors import Conflict, Invalid

PREFIX = "bat_"
MOST = 500
"""The most approvals that one request decides."""
_SECONDS = 300.0


def is_batch(name: str) -> bool:
    """Return whether a name on the command line is that of a batch."""
    return name.startswith(PREFIX)


def find_batch(api: Api, name: str) -> str:
    """Return the id of a batch by its first characters: those of the approval that opened it.

    Raise NotFound, or Conflict if several begin so.
    """
    opener = find_approval(api, f"apr_{name.removeprefix(PREFIX)}")
    return opener["batch"] or name


def decide_batch(api: Api, name: str, choice: Choice, *, yes: bool) -> Answer:
    """Show what waits for the person in a batch, and decide exactly that once they agreed."""
    if choice.changes:
        raise Invalid("--change is about one approval; give the id of one")
    batch = find_batch(api, name)
    shown = api.items(APPROVALS, MOST, batch=batch, mine="true")
    if not shown:
        raise Conflict(f"nothing in batch {batch} waits for your decision")
    for line in render_batch(shown):
        print_error(line)
    agree(f"{question(choice)} {len(shown)} approvals", yes=yes, alternative="")
    body: dict[str, Any] = {
        "decision": choice.decision,
        "items": [{"id": each["id"], "digest": each["digest"]} for each in shown],
        "comment": choice.comment,
    }
    if choice.fields is not None:
        body["form"] = read_form(shown[0]["form"] or {}, choice.fields)
    done = api.post(f"/v1/approval-batches/{batch}/decide", body, seconds=_SECONDS)
    for item in done["items"]:
        if item["reason"]:
            print_error(f"{item['id']}: {item['reason']}")
    decided = [outcome(item["approval"]) for item in done["items"] if item["approval"]]
    code = ExitCode.NEGATIVE if done["refused"] else ExitCode.DONE
    return Answer(done, "\n".join(decided), code)


def list_rows(approvals: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the lines of a list: one for each batch of several, at the place of its first."""
    batches: dict[str, list[dict[str, Any]]] = {}
    for each in approvals:
        batches.setdefault(each["batch"] or each["id"], []).append(each)
    for name, several in batches.items():
        first = max(several, key=lambda each: each["severity"])
        row = {**list_row(first), "count": len(several)}
        if len(several) > 1:
            targets = [t["target"]["value"] for each in several for t in each["planned_changes"]]
            more = [f"{len(targets) - 3} more"] if len(targets) > 3 else []
            row |= {"id": name, "targets": targets[:3] + more, "progress": None}
            row["mine"] = any(each["mine"] for each in several)
            row["expires_at"] = min(each["expires_at"] for each in several)
        yield row
