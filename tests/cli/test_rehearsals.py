"""Does `tocsin playbook test` say by its exit code and its files what came out, and find playbooks by name and by folder?"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

import playbooks
from orchestrator.cli.app import app

FEW = "nobody answers"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(str(playbooks.folder("brute-force-block")), tmp_path / "mine"))


def test_all_is_good_by_name_and_the_files_are_written(tmp_path: Path) -> None:
    xml, pages = tmp_path / "tests.xml", tmp_path / "pages"
    done = CliRunner().invoke(
        app,
        [
            "playbook",
            "test",
            "brute-force-block",
            "--fail-under",
            "90",
            "--junit",
            str(xml),
            "--html",
            str(pages),
            "--json",
        ],
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)[0]["coverage"]["percent"] == 100.0
    assert ET.parse(xml).getroot().get("failures") == "0"
    assert "What no test reaches" in (pages / "brute-force-block.html").read_text("utf-8")


def test_a_case_that_fails_shows_what_was_wanted_and_what_came_with_no_control_characters(
    folder: Path,
) -> None:
    tests = folder / "tests.yaml"
    text = tests.read_text("utf-8").replace(
        "expect: {status: declined,", "expect: {status: completed,"
    )
    tests.write_text(
        text.replace(f"a harmless address is left alone when {FEW} for an hour", f'"{FEW} \\e[2J"'),
        "utf-8",
    )
    done = CliRunner().invoke(app, ["playbook", "test", str(folder), "-k", FEW])
    assert done.exit_code == 1
    assert f"{folder / 'playbook.yaml'}:38: status" in done.output
    assert "expected completed" in done.output
    assert "got      declined" in done.output
    assert "\x1b[2J" not in done.output


def test_coverage_below_what_is_asked_for_fails(folder: Path) -> None:
    tests = folder / "tests.yaml"
    text = tests.read_text("utf-8")
    tests.write_text(text[: text.index("  - name: an address that nobody")], "utf-8")
    done = CliRunner().invoke(
        app, ["playbook", "test", str(folder), "--fail-under", "90", "--json"]
    )
    assert done.exit_code == 1
    assert "is below 90%" in done.stderr
    assert json.loads(done.stdout)[0]["coverage"]["percent"] < 90


def test_a_name_that_is_nowhere_is_told() -> None:
    done = CliRunner().invoke(app, ["playbook", "test", "nowhere"])
    assert done.exit_code != 0
    assert "name a folder with a playbook.yaml and a tests.yaml, or a playbook" in str(
        done.exception
    )
