"""Outcomes of alerts, and how two outcomes of the same alert differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum

from orchestrator.domain.model import Frozen

EXAMPLES = 5
"""Examples that a group of differences shows."""
THE_RUN = "the run"
"""How an outcome names a run that did not begin."""


class OutcomeDifference(StrEnum):
    """The kinds of difference, the most dangerous first."""

    CONTAINED_MORE = "contained more"
    CONTAINED_LESS = "contained less"
    ASKED_LESS = "asked less"
    ASKED_MORE = "asked more"
    NEWLY_DENIED = "newly denied"
    FAILED = "failed"
    STARTED_ONLY_NOW = "starts only now"
    STARTED_ONLY_THEN = "started only then"
    CANNOT_TELL = "cannot tell"


class Outcome(Frozen):
    """What a playbook did, or would do, about one alert.

    Changes are written `connection.action target`, everything else as sentences.
    """

    started: bool
    status: str | None = None
    contained: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    """Changes and forms that people are asked about."""
    denied: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    """Steps whose outcome is unknown."""


class AlertSummary(Frozen):
    """An alert, as people recognize it."""

    alert_id: str
    title: str
    created_at: datetime


class DifferenceExample(Frozen):
    """One alert with a difference, and what differs."""

    about: AlertSummary
    what: tuple[str, ...]


class DifferenceGroup(Frozen):
    """All alerts with one kind of difference."""

    difference: OutcomeDifference
    count: int
    examples: tuple[DifferenceExample, ...]
    """The first few alerts."""


NOT_STARTED = Outcome(started=False)


def compare_outcomes(then: Outcome, now: Outcome) -> dict[OutcomeDifference, tuple[str, ...]]:
    """Return what differs, by kind; empty when the outcomes are alike.

    The changes of a run that exists on one side only count as differences too.
    """
    found: dict[OutcomeDifference, tuple[str, ...]] = {}

    def note(kind: OutcomeDifference, what: Iterable[str]) -> None:
        if kept := tuple(dict.fromkeys(what)):
            found[kind] = kept

    if now.started and not then.started:
        note(OutcomeDifference.STARTED_ONLY_NOW, [f"would end {now.status}"])
    if then.started and not now.started:
        note(OutcomeDifference.STARTED_ONLY_THEN, [f"ended {then.status}"])
    note(OutcomeDifference.CONTAINED_MORE, _without(now.contained, then.contained))
    # A change that an unknown step may still make does not count as missing.
    note(
        OutcomeDifference.CONTAINED_LESS,
        [] if now.unknown else _without(then.contained, (*now.contained, *now.denied)),
    )
    note(OutcomeDifference.ASKED_MORE, _without(now.asked, then.asked))
    note(
        OutcomeDifference.ASKED_LESS,
        [each for each in _without(then.asked, now.asked) if each in now.contained],
    )
    note(OutcomeDifference.NEWLY_DENIED, _without(now.denied, then.denied))
    note(OutcomeDifference.FAILED, _without(now.failed, then.failed))
    note(OutcomeDifference.CANNOT_TELL, now.unknown)
    return found


def group_differences(
    pairs: Iterable[tuple[AlertSummary, Mapping[OutcomeDifference, tuple[str, ...]]]],
) -> list[DifferenceGroup]:
    """Group alerts by kind of difference, the most dangerous kind first."""
    counts: dict[OutcomeDifference, int] = {}
    examples: dict[OutcomeDifference, list[DifferenceExample]] = {}
    for about, found in pairs:
        for kind, what in found.items():
            counts[kind] = counts.get(kind, 0) + 1
            if len(shown := examples.setdefault(kind, [])) < EXAMPLES:
                shown.append(DifferenceExample(about=about, what=what))
    return [
        DifferenceGroup(difference=kind, count=counts[kind], examples=tuple(examples[kind]))
        for kind in OutcomeDifference
        if kind in counts
    ]


def unique(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names without repetitions, in their order."""
    return tuple(dict.fromkeys(names))


def _without(these: Iterable[str], those: Iterable[str]) -> list[str]:
    known = set(those)
    return [each for each in these if each not in known]
