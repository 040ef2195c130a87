"""Parent death: a child ends when its supervisor does, `kill -9` included.

Three ways, as far as the program and the system allow:

- Tocsin's own programs call `watch`: they end when a pipe closes whose other end only the
  supervisor holds.
- Other programs on Linux: `die_with_parent` makes the kernel kill them (prctl PR_SET_PDEATHSIG).
- Other programs elsewhere run under this module, which watches the pipe for them:
  `python -m orchestrator.cli.stack.parent_death PROGRAM ARGUMENT ...`
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from types import FrameType

VARIABLE = "TOCSIN_LIFELINE"
"""Names the pipe's file descriptor, in the child's environment."""

_PR_SET_PDEATHSIG = 1
_EXIT_CODE = 75

# Loaded at import: nothing may be loaded between fork and exec.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def watch() -> None:
    """End this process when the supervisor's end of the pipe closes; without one, do nothing."""
    descriptor = os.environ.pop(VARIABLE, None)
    if descriptor is None:
        return

    def wait() -> None:
        os.read(int(descriptor), 1)
        os._exit(_EXIT_CODE)

    threading.Thread(target=wait, daemon=True, name="parent-death").start()


def die_with_parent() -> None:
    """Let Linux kill this process when its parent ends; call it between fork and exec."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main(command: list[str]) -> int:
    """Run a program until it ends or the pipe closes; return its exit code. Pass SIGTERM on."""
    descriptor = int(os.environ.pop(VARIABLE))
    program = subprocess.Popen(command)  # noqa: S603  the supervisor's own command

    def pass_on(number: int, _: FrameType | None) -> None:
        program.send_signal(number)

    def wait() -> None:
        os.read(descriptor, 1)
        program.kill()

    signal.signal(signal.SIGTERM, pass_on)
    threading.Thread(target=wait, daemon=True).start()
    return program.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
