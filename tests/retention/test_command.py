"""`tocsin retention` plans, archives once a person agrees, and verifies with exit codes."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path

import pytest

from orchestrator.domain.clock import utc_now
from tests.harness.commands import CommandOutcome, tocsin
from tests.retention.old_records import OLD, add, closed, counts, installed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the data directory of an installation with an old incident and a young one."""

    async def make() -> None:
        async with installed(tmp_path) as rt:
            await add(rt, *closed("a", OLD), *closed("young", utc_now()))
            (tmp_path / "audit.pub").write_bytes(rt.audit_key.public.pem)

    asyncio.run(make())
    return tmp_path


def retention(folder: Path, verb: str, *arguments: object, stdin: str = "") -> CommandOutcome:
    data = folder / "data"
    return tocsin("retention", verb, *arguments, "--data-dir", data, stdin=stdin)


def runs_left(folder: Path) -> int:
    async def count() -> int:
        async with installed(folder) as rt:
            return (await counts(rt))["runs"]

    return asyncio.run(count())


def test_plan_prints_the_rows_of_each_table(folder: Path) -> None:
    done = retention(folder, "plan", "--older-than", "365d")
    assert (done.returncode, done.stderr) == (0, "")
    assert "14 rows" in done.stdout
    assert "  steps: 2" in done.stdout.splitlines()
    assert runs_left(folder) == 2


def test_archive_without_a_terminal_asks_for_yes_and_changes_nothing(folder: Path) -> None:
    done = retention(folder, "archive", "--older-than", "365d", "--to", folder / "archive")
    assert done.returncode == 1
    assert "add --yes to archive and delete the rows that are shown" in done.stderr
    assert runs_left(folder) == 2


def test_archive_is_verified_by_the_installation_and_by_its_public_key(folder: Path) -> None:
    to = folder / "archive"
    done = retention(folder, "archive", "--older-than", "365d", "--to", to, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert made["deleted"] == made["rows"]
    assert runs_left(folder) == 1
    file = Path(made["file"])
    elsewhere = tocsin("retention", "verify", file, "--public-key", folder / "audit.pub")
    for verified in (retention(folder, "verify", file), elsewhere):
        assert (verified.returncode, "intact" in verified.stdout) == (0, True)
    again = retention(folder, "archive", "--older-than", "365d", "--to", to, "--yes")
    assert (again.returncode, again.stdout.splitlines()) == (
        0,
        ["nothing is old enough, or everything is needed"],
    )
    file.write_bytes(gzip.compress(gzip.decompress(file.read_bytes()).replace(b"look", b"hide")))
    altered = retention(folder, "verify", file)
    assert altered.returncode == 1
    assert "table steps was altered" in altered.stdout


def test_short_age_is_refused_with_what_looks_back_further(folder: Path) -> None:
    done = retention(folder, "plan", "--older-than", "7d")
    assert done.returncode == 1
    assert "--older-than 7d: the circuit breaker of the policy looks back 169h" in done.stderr


def test_folder_without_an_installation_is_refused(tmp_path: Path) -> None:
    done = retention(tmp_path, "plan", "--older-than", "365d")
    assert done.returncode == 1
    assert "no Tocsin here" in done.stderr
