"""A supervisor with one child, run as a program of its own by the tests: `supervised.py FOLDER [tied]`."""

import asyncio
import os
import sys
from pathlib import Path

from orchestrator.cli.stack.child import Child, Program

CHILD = "import os, pathlib, sys, time; pathlib.Path(sys.argv[1]).write_text(str(os.getpid())); time.sleep(600)"


async def main(folder: Path) -> None:
    reading, _writing = os.pipe()
    program = Program(
        "sleeper", (sys.executable, "-c", CHILD, str(folder / "pid")), dict(os.environ), ours=False
    )
    await Child(program, folder / "log", reading, lambda text: print(text, flush=True)).keep()


asyncio.run(main(Path(sys.argv[1])))
