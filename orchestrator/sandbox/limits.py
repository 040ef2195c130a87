"""The limits of the sandboxes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """What the tasks of a process may use."""

    seconds: float
    """How long a task may take, once it is its turn."""
    cpu_seconds: int
    """How much computing time a task gets if nothing waits for it any more."""
    memory_bytes: int
    """The address space of the process, most of which is code that is mapped and not resident."""
    open_files: int
    work: str = "checking the text"
    """What the tasks do, in messages."""
    remedy: str = "make it shorter"
    """What to do about a task that needs more."""


TEXTS = SandboxLimits(seconds=10.0, cpu_seconds=15, memory_bytes=512 * 1024**2, open_files=64)
"""For texts of clients: parse, compile, lint, draw and compare."""
TESTS = SandboxLimits(
    seconds=120.0,
    cpu_seconds=150,
    memory_bytes=4 * 1024**3,
    open_files=1024,
    work="running the tests",
    remedy="run fewer at once",
)
"""For the tests of playbooks, which need a Temporal server of their own."""

START_SECONDS = 30.0
"""How long the process may take to start, on a busy machine."""
MAX_WAITING = 32
"""Tasks that wait for their turn; more are asked to try again."""
IDLE_SECONDS = 60.0
"""After which the process ends, to give its memory back."""
