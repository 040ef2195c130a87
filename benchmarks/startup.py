"""Start-up of the command line, as a ratio to `python -c pass` in the same run; prints Markdown.

.venv/bin/python benchmarks/startup.py [--rounds 10]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

PYTHON = (sys.executable, "-P")
COMMANDS = {
    "python -c pass": ("-c", "pass"),
    "tocsin --help": ("-m", "orchestrator.cli", "--help"),
    "tocsin run --help": ("-m", "orchestrator.cli", "run", "--help"),
    "tocsin run list (no API)": (
        "-m",
        "orchestrator.cli",
        "run",
        "list",
        "--url",
        "http://127.0.0.1:1",
    ),
}
ENVIRONMENT = {**os.environ, "TOCSIN_API_KEY": "none"}


def measure(arguments: tuple[str, ...]) -> tuple[float, float]:
    """Return the seconds and the peak memory in MB of one start."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [*PYTHON, *arguments],
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, _, usage = os.wait4(process.pid, 0)
    return time.perf_counter() - began, usage.ru_maxrss / 1024


def main() -> None:
    """Measure every command in turn, round by round, and print the best of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="how often each is started")
    rounds = parser.parse_args().rounds
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, arguments in COMMANDS.items():
            found[name].append(measure(arguments))
    base, *_ = (min(seconds for seconds, _ in each) for each in found.values())
    print("| command | seconds | of python -c pass | MB |\n| --- | --- | --- | --- |")
    for name, each in found.items():
        seconds, memory = min(each)
        print(f"| `{name}` | {seconds:.2f} | {seconds / base:.1f} | {memory:.0f} |")


if __name__ == "__main__":
    main()
