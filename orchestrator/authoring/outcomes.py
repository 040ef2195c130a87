"""In what do two outcomes of one alert differ: what was done, and what a draft or a shadow would have done?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from orchestrator.domain.model import Frozen

EXAMPLES = 5


class Difference(StrEnum):
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
    """What a playbook did, or would do, about one alert. Changes are written `connection.action target`, other things as sentences.

    `asked`: changes (and forms) that people are asked about; `unknown`: steps of which nothing can be said without guessing.
    """

    started: bool
    status: str | None = None
    contained: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


class About(Frozen):
    """Which alert it is about, for people."""

    alert_id: str
    title: str
    received_at: str


class Example(Frozen):
    """One alert with a difference, and what differs."""

    about: About
    what: tuple[str, ...]


class Group(Frozen):
    """All alerts with one kind of difference; `examples`: the first few."""

    difference: Difference
    count: int
    examples: tuple[Example, ...]


NOT_STARTED = Outcome(started=False)


def differences(then: Outcome, now: Outcome) -> dict[Difference, tuple[str, ...]]:
    """What differs, by kind; empty: they are alike. A run that is there on one side only counts its changes too."""
    found: dict[Difference, tuple[str, ...]] = {}

    def note(kind: Difference, what: Iterable[str]) -> None:
        if kept := tuple(dict.fromkeys(what)):
            found[kind] = kept

    if now.started and not then.started:
        note(Difference.STARTED_ONLY_NOW, [f"would end {now.status}"])
    if then.started and not now.started:
        note(Difference.STARTED_ONLY_THEN, [f"ended {then.status}"])
    note(Difference.CONTAINED_MORE, _without(now.contained, then.contained))
    # What cannot be told is not said to be missing.
    note(
        Difference.CONTAINED_LESS,
        [] if now.unknown else _without(then.contained, (*now.contained, *now.denied)),
    )
    note(Difference.ASKED_MORE, _without(now.asked, then.asked))
    note(
        Difference.ASKED_LESS,
        [each for each in _without(then.asked, now.asked) if each in now.contained],
    )
    note(Difference.NEWLY_DENIED, _without(now.denied, then.denied))
    note(Difference.FAILED, _without(now.failed, then.failed))
    note(Difference.CANNOT_TELL, now.unknown)
    return found


def grouped(pairs: Iterable[tuple[About, Mapping[Difference, tuple[str, ...]]]]) -> list[Group]:
    """Alerts by kind of difference, in the order of danger."""
    counts: dict[Difference, int] = {}
    examples: dict[Difference, list[Example]] = {}
    for about, found in pairs:
        for kind, what in found.items():
            counts[kind] = counts.get(kind, 0) + 1
            if len(shown := examples.setdefault(kind, [])) < EXAMPLES:
                shown.append(Example(about=about, what=what))
    return [
        Group(difference=kind, count=counts[kind], examples=tuple(examples[kind]))
        for kind in Difference
        if kind in counts
    ]


def _without(these: Iterable[str], those: Iterable[str]) -> list[str]:
    known = set(those)
    return [each for each in these if each not in known]
