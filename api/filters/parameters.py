"""The query parameters that lists share, with what each means."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import AwareDatetime

from orchestrator.store.search.filters import NamedOrder, Order

_ID = 200
_NAME = 64
_VALUE = 4096

IdPrefix = Annotated[
    str | None,
    Query(
        pattern=r"^([a-z]+_)?[0-9a-f]{1,64}$",
        description="Only with an id that begins so.",
        examples=["run_019a8c7d21f0"],
    ),
]
Since = Annotated[
    AwareDatetime | None,
    Query(
        description="Only from this time on (RFC 3339). It is the time that the list is sorted by.",
        examples=["2026-01-01T12:00:00Z"],
    ),
]
Until = Annotated[
    AwareDatetime | None,
    Query(
        description="Only before this time (RFC 3339). It is the time that the list is sorted by.",
        examples=["2026-01-02T12:00:00Z"],
    ),
]
EndedSince = Annotated[
    AwareDatetime | None,
    Query(
        description="Only runs that ended at this time or later.", examples=["2026-01-01T12:00:00Z"]
    ),
]
EndedUntil = Annotated[
    AwareDatetime | None,
    Query(description="Only runs that ended before this time.", examples=["2026-01-02T12:00:00Z"]),
]
ErrorText = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=200,
        description="Only runs whose error contains this text.",
        examples=["kill switch"],
    ),
]
Person = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=100,
        description="Only what this person did: decided, started, released, closed, received.",
        examples=["ann"],
    ),
]
Target = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=_VALUE,
        description="Only what changes, or would change, this target: VALUE in any spelling, or "
        "TYPE:VALUE.",
        examples=["198.51.100.7"],
    ),
]
Covering = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=_VALUE,
        description="Only what contains this target: itself, a network around it, a domain above.",
        examples=["198.51.100.7"],
    ),
]
Observable = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=_VALUE,
        description="Only what an alert that names this led to: VALUE in any spelling, or "
        "TYPE:VALUE.",
        examples=["evil.example"],
    ),
]
Source = Annotated[
    str | None,
    Query(max_length=_NAME, description="Only of alerts of this source.", examples=["edge-ids"]),
]
Playbook = Annotated[
    str | None,
    Query(
        max_length=_NAME,
        description="Only of runs of this playbook.",
        examples=["c2-beacon-containment"],
    ),
]
AlertClass = Annotated[
    str | None,
    Query(
        alias="class",
        max_length=_NAME,
        description="Only of alerts of this class.",
        examples=["c2_beacon"],
    ),
]
Severity = Annotated[
    int | None,
    Query(ge=0, le=6, description="Only of this severity or a higher one.", examples=[4]),
]
IncidentId = Annotated[
    str | None,
    Query(
        max_length=_ID,
        description="Only of this incident.",
        examples=["inc_019a8c7d21f04b6c1e2f3a4b5c6d"],
    ),
]
RunId = Annotated[
    str | None,
    Query(
        max_length=_ID,
        description="Only of this run.",
        examples=["run_019a8c7d21f04b6c1e2f3a4b5c6d"],
    ),
]
AlertId = Annotated[
    str | None,
    Query(
        max_length=_ID,
        description="Only of this alert.",
        examples=["alert_019a8c7d21f04b6c1e2f3a4b5c6d"],
    ),
]
Connection = Annotated[
    str | None,
    Query(max_length=_NAME, description="Only on this connection.", examples=["firewall"]),
]
Name = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=100,
        description="Only with this text in the name, in capitals or not.",
        examples=["edge"],
    ),
]
Sort = Annotated[
    Order,
    Query(
        description="By the time of each item: the newest first, or the oldest.",
        examples=["oldest"],
    ),
]
SortByName = Annotated[
    NamedOrder,
    Query(description="By name, or by the time of each item.", examples=["newest"]),
]
SortWithExpiry = Annotated[
    Order | None,
    Query(
        description="By the time when they were asked: the newest first, or the oldest. Without "
        "it, pending ones by when they expire.",
        examples=["oldest"],
    ),
]
Mine = Annotated[
    bool,
    Query(description="Only pending approvals that wait for your decision.", examples=[True]),
]
