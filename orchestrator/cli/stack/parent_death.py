"""How does a program that is not ours end with its supervisor where the kernel does not see to it? It runs under this one.

Usage: `python -m orchestrator.cli.stack.parent_death PROGRAM ARGUMENT ...` with the supervisor's pipe in the environment.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from types import FrameType

from orchestrator.cli.stack import lifeline


def main(command: list[str]) -> int:
    """Runs the program until it ends, this process is told to end, or the pipe closes."""
    descriptor = int(os.environ.pop(lifeline.VARIABLE))
    program = subprocess.Popen(command)  # noqa: S603  the supervisor's own words

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
