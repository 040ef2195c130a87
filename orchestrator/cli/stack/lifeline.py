"""How does a child end when its supervisor is gone, `kill -9` included? It holds one end of a pipe that nobody writes to."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading

VARIABLE = "TOCSIN_LIFELINE"
"""Names the file descriptor of the pipe, in the child's environment."""

_PR_SET_PDEATHSIG = 1
_ORPHANED = 75


def hold() -> None:
    """In the child: ends this process, without ceremony, once the supervisor's end of the pipe is closed."""
    descriptor = os.environ.pop(VARIABLE, None)
    if descriptor is not None:
        threading.Thread(
            target=_wait, args=(int(descriptor),), daemon=True, name="lifeline"
        ).start()


def die_with_parent() -> None:
    """Between fork and exec, on Linux: the kernel kills this process when its parent ends. For children that are not ours."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _wait(descriptor: int) -> None:
    os.read(descriptor, 1)
    os._exit(_ORPHANED)


_LIBC = (
    ctypes.CDLL(None) if sys.platform == "linux" else None
)  # loaded here: nothing may be loaded between fork and exec
