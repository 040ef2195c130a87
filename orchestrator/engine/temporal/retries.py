"""Pauses between the tries of an action, as the server makes them and as people see them."""

from __future__ import annotations

from datetime import timedelta

from temporalio.common import RetryPolicy

from orchestrator.playbook.plan import Retry

LONGEST_PAUSE = timedelta(minutes=5)
"""Between two tries, unless the system asks for more."""

_DOUBLED = 20
"""How often a pause is doubled at most: by then it is the longest one."""


def retry_policy(retry: Retry | None) -> RetryPolicy:
    """Return the author's retries, with exponential pauses."""
    given = retry or Retry()
    return RetryPolicy(
        initial_interval=pause_after(given, 1),
        maximum_interval=LONGEST_PAUSE,
        maximum_attempts=given.attempts,
    )


def pause_after(retry: Retry, attempt: int) -> timedelta:
    """Return the pause after an attempt (1: the first), as the policy has it."""
    seconds: float = max(retry.wait, 1) * 2.0 ** min(attempt - 1, _DOUBLED)
    return min(timedelta(seconds=seconds), LONGEST_PAUSE)
