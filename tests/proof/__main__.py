"""The proof: `python -m tests.proof --sequences 2000 --processes 2` exits 1 when a law is broken."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

BATCH = 25
MAX_HUNG = 0.02
"""Share of the sequences that Temporal's test server may leave hanging, see docs/proof.md."""
PATIENCE = 90.0
"""Seconds that a batch may take longer than the given time."""


def main() -> int:
    """Play sequences and print what broke, with the seed that repeats it."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof", description=__doc__)
    parser.add_argument("--sequences", type=int, default=2000, help="in all")
    parser.add_argument(
        "--processes", type=int, default=2, help="each with its own server and store"
    )
    parser.add_argument(
        "--seconds", type=float, default=float("inf"), help="no new batch after this time"
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of the first batch")
    parser.add_argument(
        "--server", choices=("skipping", "real"), default="skipping", help="of Temporal"
    )
    parser.add_argument(
        "--slow", action="store_true", help="with calls that take until everything else waits"
    )
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument(
        "--root", type=Path, help=argparse.SUPPRESS
    )  # where the tested engine must be, so that a planted bug is the one that runs
    given = parser.parse_args()
    return _one(given) if given.one else _all(given)


def _all(given: argparse.Namespace) -> int:
    began, share = time.monotonic(), -(-given.sequences // given.processes)
    common = ["--one", "--sequences", str(share), "--seconds", str(given.seconds)]
    common += ["--server", given.server, *(["--slow"] if given.slow else [])]
    children = [
        ProofProcess([*common, "--seed", str(given.seed + number * 1_000_000)])
        for number in range(given.processes)
    ]
    found = []
    with ThreadPoolExecutor(len(children)) as waiting:
        for ended in as_completed(waiting.submit(child.report) for child in children):
            each = ended.result()
            found.append(each)
            for what in each["hung"]:
                print(f"given up: {what}", flush=True)
            if each["error"]:
                print(
                    f"seed {each['seed']}: {each['error']}\n  after: {', '.join(each['deeds'])}",
                    flush=True,
                )
    played, hung = (
        sum(each["sequences"] for each in found),
        sum(len(each["hung"]) for each in found),
    )
    print(
        f"{played} sequences in {time.monotonic() - began:.0f} s by {given.processes} processes, {hung} more given up",
        flush=True,
    )
    short = played < given.sequences and given.seconds == float("inf")
    too_many = hung > max(1, MAX_HUNG * played)
    return 1 if short or too_many or any(each["error"] for each in found) else 0


class ProofProcess:
    """A process that plays sequences.

    It writes to files: a pipe would stay open if the process died before its server.
    """

    def __init__(
        self,
        arguments: list[str],
        folder: Path | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        self._out, self._err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 - read at the end
        command = [sys.executable, "-X", "faulthandler", "-m", "tests.proof", *arguments]
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdout=self._out,
            stderr=self._err,
            start_new_session=True,
        )

    def report(self) -> dict[str, Any]:
        """Return the report that it prints at its end, or how it died."""
        code = self._process.wait()
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # a server that was left behind
        lines = [line for line in _text(self._out).splitlines() if line.startswith("{")]
        if code == 0 and lines:
            return dict(json.loads(lines[-1]))
        return {
            "sequences": 0,
            "seed": None,
            "deeds": [],
            "hung": [],
            "error": f"the process ended with {code}: {_text(self._err)[-2000:]}",
        }


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _one(given: argparse.Namespace) -> int:
    import orchestrator
    from tests.proof.machine import SHARED_STAGE
    from tests.proof.sequences import play_sequences

    if given.root is not None and given.root not in Path(orchestrator.__file__).parents:
        sys.exit(f"{orchestrator.__file__} is not the engine to test")
    SHARED_STAGE.is_real = given.server == "real"
    SHARED_STAGE.with_slow_calls = given.slow
    began, played, number = time.monotonic(), 0, given.seed
    error: str | None = None
    deeds: tuple[str, ...] = ()
    hung: list[str] = []
    while played < given.sequences and error is None and time.monotonic() - began < given.seconds:
        outcome = play_sequences(min(BATCH, given.sequences - played), number)
        played, error, deeds = played + outcome.sequences, outcome.error, outcome.deeds
        hung += outcome.hung
        number += 1
    SHARED_STAGE.close()  # otherwise its server would live on
    print(
        json.dumps(
            {
                "sequences": played,
                "seed": number - 1,
                "error": error,
                "deeds": list(deeds),
                "hung": hung,
            }
        ),
        flush=True,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
