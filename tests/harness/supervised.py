"""A supervisor with one child, run as a program of its own by the tests: `supervised.py FOLDER`."""

import asyncio
import os
import sys
from pathlib import Path

from orchestrator.cli.stack.child import Child, Program
from orchestrator.cli.stack.program_log import ProgramLog

CHILD = (
    "import os, pathlib, sys, time; "
    "pathlib.Path(sys.argv[1]).write_text(str(os.getpid())); time.sleep(600)"
)


async def main(folder: Path) -> None:
    reading, _writing = os.pipe()
    command = (sys.executable, "-c", CHILD, str(folder / "pid"))
    program = Program("sleeper", command, dict(os.environ), watches_parent=False)
    log = ProgramLog(folder / "log", 1024, 1)
    await Child(program, log, reading, lambda line: print(line, flush=True)).supervise()


asyncio.run(main(Path(sys.argv[1])))
