"""Play sequences with a seed, and report the outcome."""

from __future__ import annotations

import time
from dataclasses import dataclass

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.proof.machine import SHARED_STAGE, ContainmentSequences

STEPS = 12


@dataclass(frozen=True)
class SequencesOutcome:
    """How some sequences went."""

    sequences: int
    seconds: float
    error: str | None = None  # of the sequence that broke a law
    deeds: tuple[str, ...] = ()  # of that sequence
    hung: tuple[str, ...] = ()  # sequences that the test server left hanging


def play_sequences(sequences: int, number: int, *, shrink: bool = False) -> SequencesOutcome:
    """Play sequences up to the first that breaks a law."""
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
    before, began = SHARED_STAGE.played, time.monotonic()
    SHARED_STAGE.failures.clear()
    SHARED_STAGE.hung.clear()
    error: str | None = None
    deeds: tuple[str, ...] = ()
    try:
        run_state_machine_as_test(seed(number)(ContainmentSequences), settings=chosen)
    except Exception as failed:  # noqa: BLE001 - reported, whatever it is
        # The first failure: a replayed sequence may differ, as real workers race in it.
        found = (
            SHARED_STAGE.failures[-1]
            if shrink and SHARED_STAGE.failures
            else next(iter(SHARED_STAGE.failures), None)
        )
        error, deeds = found or (f"{type(failed).__name__}: {failed}", tuple(SHARED_STAGE.deeds))
    return SequencesOutcome(
        SHARED_STAGE.played - before,
        time.monotonic() - began,
        error,
        deeds,
        tuple(SHARED_STAGE.hung),
    )
