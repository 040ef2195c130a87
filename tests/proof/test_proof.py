"""Do the laws of the engine hold in any order of events? A few sequences here; `.ci/run` plays 2,000."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SEQUENCES = 60


@pytest.mark.skipif(
    "TOCSIN_PROOF" not in os.environ,
    reason="plays for minutes; `.ci/run` plays it apart, see docs/proof.md",
)
def test_the_laws_hold_whatever_happens_in_whichever_order() -> None:
    command = [
        sys.executable,
        "-m",
        "tests.proof",
        "--sequences",
        str(SEQUENCES),
        "--processes",
        "2",
        "--seed",
        "7",
    ]
    done = subprocess.run(
        command,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
