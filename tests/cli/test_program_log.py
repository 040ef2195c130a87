"""The log of a supervised program: complete lines without control codes, rotated by size."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from orchestrator.cli.stack.program_log import ProgramLog, finish


def lines_of(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines()


def test_lines_keep_their_order_across_pieces_and_lose_their_colours(tmp_path: Path) -> None:
    log = ProgramLog(tmp_path / "x.log", 65_536, 1)
    log.write(b"\x1b[33mWARN\x1b[0m fir")
    log.write(b"st\r\nsecond\n\xff third")
    log.end_line()
    log.close()
    assert lines_of(tmp_path / "x.log") == ["WARN first", "second", "\\xff third"]


def test_log_is_rotated_by_size_and_the_given_number_is_kept(tmp_path: Path) -> None:
    log = ProgramLog(tmp_path / "x.log", 1000, 2)
    for number in range(100):
        log.write(b"line %03d %s\n" % (number, b"." * 90))
    log.close()
    files = sorted(path.name for path in tmp_path.glob("x.log*"))
    assert files == ["x.log", "x.log.1", "x.log.2"]
    assert all((tmp_path / name).stat().st_size <= 1000 for name in files)
    kept = [line for name in reversed(files) for line in lines_of(tmp_path / name)]
    assert kept[-1].startswith("line 099")
    numbers = [int(line.split()[1]) for line in kept]
    assert numbers == list(range(numbers[0], 100))


def test_line_without_end_is_cut_and_does_not_fill_the_memory(tmp_path: Path) -> None:
    log = ProgramLog(tmp_path / "x.log", 10_000_000, 1)
    for _ in range(5):
        log.write(b"x" * 65_536)
    log.close()
    assert [len(line) for line in lines_of(tmp_path / "x.log")] == [65_536] * 5


async def test_log_has_what_an_ended_program_wrote_last(tmp_path: Path) -> None:
    log = ProgramLog(tmp_path / "x.log", 65_536, 1)
    reading, writing = os.pipe()
    recording = asyncio.create_task(log.record(reading))
    os.write(writing, b"first\nlast words")
    os.close(writing)
    await finish(recording)
    assert (lines_of(tmp_path / "x.log"), log.last_line()) == (
        ["first", "last words"],
        "last words",
    )
    log.close()
