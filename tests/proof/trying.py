"""How are sequences tried? So many, with this seed, and how it went."""

from __future__ import annotations

import time
from dataclasses import dataclass

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.proof.machine import THEATRE, Containments

STEPS = 12


@dataclass(frozen=True)
class Outcome:
    """`error`: of the sequence that broke a law, with its `deeds`; None: all held. `hung`: sequences that the test server did not end."""

    sequences: int
    seconds: float
    error: str | None = None
    deeds: tuple[str, ...] = ()
    hung: tuple[str, ...] = ()


def tried(sequences: int, number: int, *, shrink: bool = False) -> Outcome:
    """As many sequences as asked, or up to the first that breaks a law."""
    phases = [Phase.generate, Phase.shrink] if shrink else [Phase.generate]
    chosen = settings(
        max_examples=sequences,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        phases=phases,
        report_multiple_bugs=False,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )
    before, began = THEATRE.played, time.monotonic()
    THEATRE.failures.clear()
    THEATRE.hung.clear()
    error: str | None = None
    deeds: tuple[str, ...] = ()
    try:
        run_state_machine_as_test(seed(number)(Containments), settings=chosen)
    except Exception as failed:  # noqa: BLE001 - whatever it is, it is what is reported
        # The first failure: replayed, a sequence may go another way, as real workers race in it.
        found = (
            THEATRE.failures[-1]
            if shrink and THEATRE.failures
            else next(iter(THEATRE.failures), None)
        )
        error, deeds = found or (f"{type(failed).__name__}: {failed}", tuple(THEATRE.deeds))
    return Outcome(
        THEATRE.played - before, time.monotonic() - began, error, deeds, tuple(THEATRE.hung)
    )
