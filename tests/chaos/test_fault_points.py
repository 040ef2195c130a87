"""The fault points: every activity has one, and a program that reaches an armed one dies there."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.contracts.names import Activity
from tests.chaos import fault_points
from tests.chaos.arena import POINTS
from tests.chaos.faults import at_point
from tests.harness.stack import ROOT

WRITES_A_ROW = """
import asyncio, sys
from sqlalchemy import text
from orchestrator.store.session import Store

async def write():
    store = Store(f"sqlite+aiosqlite:///{sys.argv[2]}")
    async with store.write() as session:
        await session.execute(text("CREATE TABLE rows (id INTEGER)"))
    async with store.write() as session:
        await session.execute(text("INSERT INTO rows VALUES (1)"))

asyncio.run(write())
"""


def test_every_activity_has_points_or_a_reason() -> None:
    names = {point.split()[1] for point in fault_points.POINTS}
    assert {*names, *fault_points.APART} >= set(Activity)
    assert not names & set(fault_points.APART)


@pytest.mark.parametrize(
    ("point", "rows"), [("worker commit before", None), ("worker commit after", 0)]
)
def test_a_program_dies_at_an_armed_point_once(
    tmp_path: Path, point: str, rows: int | None
) -> None:
    armed, database = tmp_path / "armed", tmp_path / "store.db"
    armed.mkdir()
    fault_points.arm(armed, point)
    assert _run(armed, "api", tmp_path / "other.db") == 0  # the point of another program
    assert _run(armed, "worker", database) == -signal.SIGKILL
    assert fault_points.disarm(armed) == []
    with closing(sqlite3.connect(database)) as opened:
        if rows is None:
            with pytest.raises(sqlite3.OperationalError, match="no such table"):
                opened.execute("SELECT * FROM rows")
        else:
            assert opened.execute("SELECT count(*) FROM rows").fetchone() == (rows,)


def test_a_point_that_is_not_reached_is_disarmed(tmp_path: Path) -> None:
    fault_points.arm(tmp_path, "worker plan before")
    assert fault_points.disarm(tmp_path) == ["worker plan before"]
    assert fault_points.disarm(tmp_path) == []


def test_a_fault_is_named_by_its_point() -> None:
    assert at_point("worker plan before").name == "at worker plan before"


def _run(armed: Path, program: str, database: Path) -> int:
    done = subprocess.run(
        [sys.executable, "-c", WRITES_A_ROW, program, str(database)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(POINTS), "PYTHON_CHAOS": str(armed)},
        check=False,
        timeout=120,
    )
    return done.returncode
