"""`tocsin audit`: list, export and verify the audit trail."""

from __future__ import annotations

import os
import secrets
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.command import Answer, Api, api_command, local_command, noun, table
from orchestrator.cli.exit_codes import ExitCode
from orchestrator.cli.filters import Oldest, Person, Since, Until, period, sort
from orchestrator.cli.options import Limit
from orchestrator.domain.errors import Invalid, Unavailable

if TYPE_CHECKING:
    from orchestrator.audit.format import Head
    from orchestrator.audit.verify.check import Report

app = noun("The audit trail: list, export and verify it.")

_EXIT = {
    "intact": ExitCode.DONE,
    "altered": ExitCode.NEGATIVE,
    "unreadable": ExitCode.UNREADABLE,
}


@api_command(app, "list")
def list_events(
    api: Api,
    subject: Annotated[
        str | None, typer.Option(help="Only events about this subject, such as a run's id.")
    ] = None,
    kind: Annotated[
        str | None, typer.Option(help="Only events of this kind, such as run:created.")
    ] = None,
    person: Person = None,
    since: Since = None,
    until: Until = None,
    oldest: Oldest = False,
    limit: Limit = 50,
) -> Answer:
    """List audit events, newest first."""
    query = {**period(since, until), "subject": subject, "kind": kind, "person": person}
    found = api.items("/v1/audit", limit, **query, sort=sort(oldest=oldest))
    return table(found, "number", "created_at", "kind", "actor", "subject", "data")


@api_command(app, "export")
def export(
    api: Api,
    file: Annotated[
        Path, typer.Argument(help="The file to write (mode 600), as a whole or not at all.")
    ],
) -> Answer:
    """Write the whole trail to a file, which anyone can verify offline."""
    head = save_export(api, file)
    return Answer(
        {"file": str(file), **head.model_dump(mode="json")},
        f"{file}: {head.events} events in {head.batches} sealed batches; newest {head.digest}",
    )


@local_command(app, "verify")
def verify_export(
    file: Annotated[Path, typer.Argument(help="An export.")],
    public_key: Annotated[
        Path | None, typer.Option(help="audit.pub of the data directory: PEM, or 64 hex digits.")
    ] = None,
    head: Annotated[
        Path | None, typer.Option(help="The head of an earlier export: the file or its last line.")
    ] = None,
    anchor: Annotated[Path | None, typer.Option(help="A copy of audit.anchor.")] = None,
    sink: Annotated[
        Path | None, typer.Option(help="The file of an audit sink, with batches and events.")
    ] = None,
) -> Answer:
    """Verify an export offline. Exit code 0: intact; 1: altered, and where; 2: not an export.

    What was kept elsewhere also reveals a trail that was cut, or sealed again with the true key.
    """
    from orchestrator.audit.verify.check import Kept, verify
    from orchestrator.audit.verify.remembered import load_kept_head
    from orchestrator.crypto.signing import load_public_key

    kept = Kept(head=load_kept_head(head) if head else None, anchor=anchor, sink=sink)
    report = verify(file, load_public_key(public_key) if public_key else None, kept)
    newest = report.head.model_dump(mode="json") if report.head else None
    data = {**asdict(report), "head": newest}
    return Answer(data, "\n".join(render_report(report, str(file))), _EXIT[report.status])


def save_export(api: Api, file: Path) -> Head:
    """Download the trail to a file (mode 600) and return its head. Raise Invalid, Unavailable."""
    from orchestrator.audit.format import HeadLine

    fresh = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    tail = b""
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as out, api.stream("/v1/audit/export") as pieces:
                for piece in pieces:
                    out.write(piece)
                    tail = (tail + piece)[-_TAIL:]
                out.flush()
                os.fsync(out.fileno())
            head = HeadLine.model_validate_json(tail.splitlines()[-1] if tail else b"")
            fresh.replace(file)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise Invalid(f"{file}: cannot be written ({error.strerror}); name another file") from error
    except ValueError as error:
        raise Unavailable("the export broke off before its end; try again") from error
    return head.head


_TAIL = 4096  # bytes; longer than the last line of an export


def render_report(report: Report, name: str) -> list[str]:
    """Return the lines of a verification report."""
    if report.status == "unreadable":
        head = f"{name}: unreadable"
    else:
        span = f", {report.first} to {report.last}" if report.first else ""
        counts = f"{report.events} events in {report.batches} batches{span}"
        head = f"{name}: {report.status} ({counts})"
    return [head, *report.findings, *(f"note: {note}" for note in report.notes)]
