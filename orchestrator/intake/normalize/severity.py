"""What a product's severity is in OCSF's: by word, or by a number on a scale."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.domain.alert import Severity

WORDS: dict[str, Severity] = {
    **dict.fromkeys(
        ("informational", "information", "info", "debug", "none", "p5"), Severity.INFORMATIONAL
    ),
    **dict.fromkeys(("low", "minor", "notice", "p4"), Severity.LOW),
    **dict.fromkeys(("medium", "moderate", "warning", "warn", "p3"), Severity.MEDIUM),
    **dict.fromkeys(("high", "major", "error", "err", "p2"), Severity.HIGH),
    **dict.fromkeys(
        ("critical", "crit", "severe", "alert", "page", "disaster", "p1"), Severity.CRITICAL
    ),
    **dict.fromkeys(("fatal", "emergency"), Severity.FATAL),
}
"""The words that products use, in lower case."""


def by_word(text: str | None) -> Severity:
    """The severity that a word names; `UNKNOWN` for a word that names none."""
    return WORDS.get((text or "").strip().lower(), Severity.UNKNOWN)


def by_floor(number: float | None, floors: Sequence[tuple[float, Severity]]) -> Severity:
    """The severity of the highest floor that the number reaches; `floors` highest first. `UNKNOWN` without a number."""
    if number is None:
        return Severity.UNKNOWN
    return next((severity for floor, severity in floors if number >= floor), Severity.UNKNOWN)
