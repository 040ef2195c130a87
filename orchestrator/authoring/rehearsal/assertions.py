"""In what does a rehearsal differ from what its case expects? Each difference with what was wanted and what came."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from orchestrator.authoring.rehearsal.result import Difference, Rehearsal
from orchestrator.authoring.rehearsal.tests_yaml.model import Expectation, Took

MACHINE = timedelta(seconds=10)
"""What the machine itself may take while the rehearsal's own time passes."""


def differences(expect: Expectation, found: Rehearsal) -> Iterator[Difference]:
    """All of them."""
    if found.status != expect.status:
        said = f"status is {found.status}, not {expect.status}" + (
            f" ({found.error})" if found.error else ""
        )
        yield Difference("status", said, (expect.status,), (str(found.status),), _failed(found))
    for name, wanted, got in (
        ("applied", expect.applied, found.applied),
        ("undone", expect.undone, found.undone),
        ("released", expect.released, found.released),
    ):
        if wanted is not None and Counter(wanted) != Counter(got):
            missing, more = (
                list((Counter(wanted) - Counter(got)).elements()),
                list((Counter(got) - Counter(wanted)).elements()),
            )
            said = f"{name}: missing {missing or 'nothing'}, and beyond that {more or 'nothing'}"
            yield Difference(name, said, tuple(sorted(wanted)), tuple(sorted(got)))
    texts = [each.text for each in found.asked]
    if expect.asked is not None and not _asked_so(expect.asked, texts):
        yield Difference(
            "asked", f"asked: {texts}, not {expect.asked}", tuple(expect.asked), tuple(texts)
        )
    yield from _order(expect, found)
    for path, wanted_result in (expect.results or {}).items():
        got_result = found.results.get(path)
        if not _within(wanted_result, got_result):
            yield Difference(
                "results",
                f"results: {path} is {got_result}, not {wanted_result}",
                (f"{wanted_result}",),
                (f"{got_result}",),
                path,
            )
    if expect.took is not None and not _took_so(expect.took, found.took):
        yield Difference(
            "took",
            f"took: {found.took}, not {_length(expect.took)}",
            (_length(expect.took),),
            (str(found.took),),
        )


def _failed(found: Rehearsal) -> str | None:
    """The step that ended the run; others may have failed before it, and let the run go on."""
    failed = [
        path for path in found.errors if found.states.get(path) in {"failed", "refused", "declined"}
    ]
    ended = [path for path in failed if (found.error or "").startswith(f"step {path}: ")]
    return next(iter([*ended, *failed]), None)


def _asked_so(wanted: Sequence[str], texts: Sequence[str]) -> bool:
    return len(wanted) == len(texts) and all(
        part in text for part, text in zip(wanted, texts, strict=True)
    )


def _order(expect: Expectation, found: Rehearsal) -> Iterator[Difference]:
    if expect.order is None:
        return
    made = [each for each in found.applied if each in expect.order]
    if made != expect.order:
        yield Difference(
            "order", f"order: {made}, not {expect.order}", tuple(expect.order), tuple(made)
        )


def _within(wanted: Any, got: Any) -> bool:
    """Whether what is wanted is a part of what came: mappings by their keys, all else whole."""
    if isinstance(wanted, Mapping) and isinstance(got, Mapping):
        return all(name in got and _within(value, got[name]) for name, value in wanted.items())
    return bool(wanted == got)


def _took_so(wanted: int | Took, took: timedelta) -> bool:
    if isinstance(wanted, int):
        return timedelta(seconds=wanted) <= took <= timedelta(seconds=wanted) + MACHINE
    most = timedelta.max if wanted.at_most is None else timedelta(seconds=wanted.at_most)
    return timedelta(seconds=wanted.at_least) <= took <= most


def _length(wanted: int | Took) -> str:
    if isinstance(wanted, int):
        return str(timedelta(seconds=wanted))
    most = "" if wanted.at_most is None else f", at most {timedelta(seconds=wanted.at_most)}"
    return f"at least {timedelta(seconds=wanted.at_least)}{most}"
