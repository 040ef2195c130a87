"""`tocsin playbook test` reports its outcome by exit code and files, and finds playbooks by name and folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import playbooks
from tests.harness.api_server import api_server
from tests.harness.commands import tocsin


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(str(playbooks.folder("brute-force-block")), tmp_path / "mine"))


def _replace(folder: Path, old: str, new: str) -> None:
    file = folder / "tests.yaml"
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), "utf-8")


def test_passing_tests_write_their_files(tmp_path: Path) -> None:
    xml, pages = tmp_path / "tests.xml", tmp_path / "pages"
    files = ("--junit", xml, "--html", pages, "--json")
    done = tocsin("playbook", "test", "brute-force-block", "--fail-under", "90", *files)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["coverage"]["percent"] == 100.0
    assert ET.parse(xml).getroot().get("failures") == "0"
    assert (pages / "brute-force-block.html").exists()


def test_a_failed_case_shows_what_was_expected_without_control_characters(folder: Path) -> None:
    declined = "expect: {status: declined,"
    _replace(folder, declined, "expect: {status: completed,")
    text = (folder / "tests.yaml").read_text("utf-8")
    before = text[: text.index("expect: {status: completed,")]
    name = before[before.rindex("- name: ") + len("- name: ") :].partition("\n")[0]
    _replace(folder, f"- name: {name}", '- name: "altered \\e[2J"')
    done = tocsin("playbook", "test", folder, "-k", "altered")
    assert done.returncode == 1
    assert f"{folder / 'playbook.yaml'}:38: status" in done.stdout
    assert "expected completed" in done.stdout
    assert "got      declined" in done.stdout
    assert "\x1b[2J" not in done.stdout


def test_coverage_below_the_threshold_fails(folder: Path) -> None:
    file = folder / "tests.yaml"
    text = file.read_text("utf-8")
    first = text.index("- name: ")
    file.write_text(text[: text.index("- name: ", first + 1)].rstrip() + "\n", "utf-8")
    done = tocsin("playbook", "test", folder, "--fail-under", "90", "--json")
    assert done.returncode == 1
    assert "is below 90%" in done.stderr
    assert json.loads(done.stdout)[0]["coverage"]["percent"] < 90


def test_a_playbook_is_named_by_its_file_as_in_check(folder: Path) -> None:
    done = tocsin("playbook", "test", folder / "playbook.yaml", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["playbook"] == "brute-force-block"


def test_an_unknown_playbook_is_named() -> None:
    done = tocsin("playbook", "test", "nowhere")
    assert done.returncode == 1
    assert "name a folder with a playbook.yaml and a tests.yaml, or a playbook" in done.stderr


def test_tests_run_on_an_installation_without_connections(folder: Path, tmp_path: Path) -> None:
    with api_server(tmp_path / "data") as server:
        here = ("--data-dir", server.settings.data_dir)
        done = tocsin("playbook", "test", folder, "--json", *here)
    assert done.returncode == 0, done.stderr
    assert all(case["passed"] for case in json.loads(done.stdout)[0]["cases"])
    refused = tocsin("playbook", "test", folder, "--junit", tmp_path / "x.xml", *here)
    assert "work offline" in refused.stderr


def test_the_cases_of_a_policy_are_tested(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("rules:\n  - {tags: domain-controller, deny: never}\n")
    tests = tmp_path / "policy.tests.yaml"
    case = "given: {action: edr.isolate_host, target: 'host:dc-01', tags: domain-controller}"
    tests.write_text(f"cases:\n  - name: never a dc\n    {case}\n    expect: {{verdict: deny}}\n")
    done = tocsin("policy", "test", tests)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("1 cases, 0 failed\n")
    tests.write_text(tests.read_text().replace("deny}", "allow}"))
    done = tocsin("policy", "test", tests)
    assert done.returncode == 1
    assert "never a dc: FAILED" in done.stdout
    assert "<testsuite" in tocsin("policy", "test", tests, "--junit").stdout
