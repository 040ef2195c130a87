"""The limits of the sandbox."""

from __future__ import annotations

SECONDS = 10.0
"""How long a task may take, once it is its turn."""
START_SECONDS = 30.0
"""How long the process may take to start, on a busy machine."""
CPU_SECONDS = 15
"""How much computing time a task gets if nothing waits for it any more."""
MEMORY_BYTES = 512 * 1024 * 1024
"""The address space of the process, most of which is code that is mapped and not resident."""
OPEN_FILES = 64
MAX_WAITING = 32
"""Tasks that wait for their turn; more are asked to try again."""
IDLE_SECONDS = 60.0
"""After which the process ends, to give its memory back."""
