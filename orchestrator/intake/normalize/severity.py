"""Severities: a product's word or number as OCSF `severity_id`."""

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
"""Severity by the words that products use, in lower case."""


def severity_of_word(text: str | None) -> Severity:
    """Return the severity that a word names, `UNKNOWN` for any other word."""
    return WORDS.get((text or "").strip().lower(), Severity.UNKNOWN)


def severity_of_number(number: float | None, floors: Sequence[tuple[float, Severity]]) -> Severity:
    """Return the severity of the highest floor that the number reaches, `UNKNOWN` without a number.

    `floors`: highest first.
    """
    if number is None:
        return Severity.UNKNOWN
    return next((severity for floor, severity in floors if number >= floor), Severity.UNKNOWN)
