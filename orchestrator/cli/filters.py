"""Options that filter lists: the same name means the same in every list, as in the API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import typer

from orchestrator.domain.errors import Invalid

_TIME = "a time (2026-01-01T12:00Z) or how long ago (15m, 4h, 7d)"

Since = Annotated[str | None, typer.Option(metavar="TIME", help=f"Only from {_TIME} on.")]
Until = Annotated[str | None, typer.Option(metavar="TIME", help=f"Only before {_TIME}.")]
EndedSince = Annotated[
    str | None, typer.Option(metavar="TIME", help="Only what ended at this time or later.")
]
EndedUntil = Annotated[
    str | None, typer.Option(metavar="TIME", help="Only what ended before this time.")
]
ErrorText = Annotated[
    str | None, typer.Option("--error", metavar="TEXT", help="Only with this text in the error.")
]
Covering = Annotated[
    str | None,
    typer.Option(metavar="VALUE", help="Only what contains this: itself, or a network around it."),
]
Person = Annotated[str | None, typer.Option(help="Only what this person did.")]
Target = Annotated[str | None, typer.Option(metavar="VALUE", help="Only what changes this target.")]
Observable = Annotated[
    str | None, typer.Option(metavar="VALUE", help="Only of alerts that name this.")
]
Source = Annotated[str | None, typer.Option(help="Only of alerts of this source.")]
Playbook = Annotated[str | None, typer.Option(help="Only of runs of this playbook.")]
AlertClass = Annotated[
    str | None, typer.Option("--class", metavar="CLASS", help="Only of alerts of this class.")
]
Severity = Annotated[
    int | None, typer.Option(min=0, max=6, help="Only of this severity or a higher one.")
]
Incident = Annotated[str | None, typer.Option(metavar="ID", help="Only of this incident.")]
Connection = Annotated[str | None, typer.Option(help="Only on this connection.")]
Name = Annotated[str | None, typer.Option(metavar="TEXT", help="Only with this text in the name.")]
SortByName = Annotated[
    Literal["name", "newest", "oldest"],
    typer.Option("--sort", help="By name, or by time: the newest first, or the oldest."),
]
Oldest = Annotated[bool, typer.Option("--oldest", help="The oldest first.")]


def period(since: str | None, until: str | None) -> dict[str, Any]:
    """Return the query parameters of a period. Raise Invalid that names the option."""
    return {
        "since": parse_moment(since, "--since") if since else None,
        "until": parse_moment(until, "--until") if until else None,
    }


def ended(since: str | None, until: str | None) -> dict[str, Any]:
    """Return the query parameters of when runs ended. Raise Invalid that names the option."""
    return {
        "ended_since": parse_moment(since, "--ended-since") if since else None,
        "ended_until": parse_moment(until, "--ended-until") if until else None,
    }


def sort(*, oldest: bool) -> str | None:
    """Return the query parameter of an order."""
    return "oldest" if oldest else None


def parse_moment(text: str, option: str) -> str:
    """Return a time in ISO 8601, of a time or of how long ago. Raise Invalid."""
    from orchestrator.playbook.language.durations import parse_duration

    try:
        return (datetime.now(UTC) - timedelta(seconds=parse_duration(text))).isoformat()
    except Invalid:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(f"{option} {text}: write {_TIME}") from None
    return moment.astimezone(UTC).isoformat()
