"""The result of a rehearsal, and how it differs from what its case expects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from orchestrator.authoring.rehearsal.tests_yaml.model import DurationRange, Expectation
from orchestrator.domain.run import StepState

MACHINE_TIME = timedelta(seconds=10)
"""How much the machine's own time may add to a duration that a case expects exactly."""


@dataclass(frozen=True, slots=True)
class AskedQuestion:
    """A question that was put to people, and its outcome."""

    path: str
    text: str
    outcome: str  # approved, declined or expired
    escalated: bool
    form: bool
    by_policy: bool = False  # the policy asked, not the author


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One thing that is not as expected."""

    field: str  # of the expectation
    message: str
    expected: tuple[str, ...] = ()  # lines to compare with `actual`
    actual: tuple[str, ...] = ()
    step: str | None = None  # the path of the step that it is about


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What came of one case."""

    case: str
    status: str | None  # None: the run did not start
    error: str | None = None
    failed_path: str | None = None  # of the step whose failure ended the run
    applied: tuple[str, ...] = ()
    undone: tuple[str, ...] = ()
    released: tuple[str, ...] = ()
    asked: tuple[AskedQuestion, ...] = ()
    took: timedelta = timedelta()
    states: dict[str, StepState] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    differences: tuple[Mismatch, ...] = ()  # from the expectation; empty: the case passed

    @property
    def problems(self) -> tuple[str, ...]:
        """The differences as sentences."""
        return tuple(each.message for each in self.differences)


def mismatches(expect: Expectation, found: Rehearsal) -> Iterator[Mismatch]:
    """Yield every difference between what a case expects and what came of it."""
    if found.status != expect.status:
        message = f"status is {found.status}, not {expect.status}" + (
            f" ({found.error})" if found.error else ""
        )
        step = _failed_step(found)
        yield Mismatch("status", message, (expect.status,), (str(found.status),), step)
    yield from _effects(expect, found)
    texts = [each.text for each in found.asked]
    if expect.asked is not None and not _is_asked(expect.asked, texts):
        yield Mismatch(
            "asked", f"asked: {texts}, not {expect.asked}", tuple(expect.asked), tuple(texts)
        )
    yield from _order(expect, found)
    for path, expected in (expect.results or {}).items():
        actual = found.results.get(path)
        if not _is_within(expected, actual):
            message = f"results: {path} is {actual}, not {expected}"
            yield Mismatch("results", message, (f"{expected}",), (f"{actual}",), path)
    if expect.took is not None and not _is_duration(expect.took, found.took):
        expected_text = _describe_duration(expect.took)
        message = f"took: {found.took}, not {expected_text}"
        yield Mismatch("took", message, (expected_text,), (str(found.took),))


def _effects(expect: Expectation, found: Rehearsal) -> Iterator[Mismatch]:
    for name, expected, actual in (
        ("applied", expect.applied, found.applied),
        ("undone", expect.undone, found.undone),
        ("released", expect.released, found.released),
    ):
        if expected is not None and Counter(expected) != Counter(actual):
            missing = list((Counter(expected) - Counter(actual)).elements())
            more = list((Counter(actual) - Counter(expected)).elements())
            message = f"{name}: missing {missing or 'nothing'}, unexpected {more or 'nothing'}"
            yield Mismatch(name, message, tuple(sorted(expected)), tuple(sorted(actual)))


def _failed_step(found: Rehearsal) -> str | None:
    """Return the step that ended the run, else the first one that failed."""
    states = {"failed", "refused", "declined"}
    failed = [path for path in found.errors if found.states.get(path) in states]
    return found.failed_path or next(iter(failed), None)


def _is_asked(expected: Sequence[str], texts: Sequence[str]) -> bool:
    return len(expected) == len(texts) and all(
        part in text for part, text in zip(expected, texts, strict=True)
    )


def _order(expect: Expectation, found: Rehearsal) -> Iterator[Mismatch]:
    if expect.order is None:
        return
    actual = [each for each in found.applied if each in expect.order]
    if actual != expect.order:
        message = f"order: {actual}, not {expect.order}"
        yield Mismatch("order", message, tuple(expect.order), tuple(actual))


def _is_within(expected: Any, actual: Any) -> bool:
    """Return whether a value is a part of another: mappings by their keys, all else whole."""
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        return all(
            name in actual and _is_within(value, actual[name]) for name, value in expected.items()
        )
    return bool(expected == actual)


def _is_duration(expected: int | DurationRange, took: timedelta) -> bool:
    if isinstance(expected, int):
        exact = timedelta(seconds=expected)
        return exact <= took <= exact + MACHINE_TIME
    most = timedelta.max if expected.at_most is None else timedelta(seconds=expected.at_most)
    return timedelta(seconds=expected.at_least) <= took <= most


def _describe_duration(expected: int | DurationRange) -> str:
    if isinstance(expected, int):
        return str(timedelta(seconds=expected))
    most = "" if expected.at_most is None else f", at most {timedelta(seconds=expected.at_most)}"
    return f"at least {timedelta(seconds=expected.at_least)}{most}"
