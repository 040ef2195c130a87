"""Verbs on drafts end with the exit code that a pipeline relies on, offline and with an installation."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.harness.api_server import ApiServer
from tests.harness.commands import tocsin

PLAYBOOKS = Path(__file__).parents[2] / "playbooks"
SHIPPED = PLAYBOOKS / "brute-force-block"
BAD = """\
playbook: bad
version: 1
title: T
owner: o
steps:
  - id: a
    use: firewall.blok_address
    with: {}
"""


def _without_lease(folder: Path) -> Path:
    file = folder / "a,b.yaml"
    text = (SHIPPED / "playbook.yaml").read_text("utf-8")
    file.write_text(text.replace("    for: 24h\n", ""), "utf-8")
    return file


@pytest.fixture(params=["offline", "installation"])
def where(request: pytest.FixtureRequest) -> tuple[object, ...]:
    """No option, or those that name an installation."""
    if request.param == "offline":
        return ()
    server: ApiServer = request.getfixturevalue("server")
    return ("--data-dir", server.settings.data_dir)


@pytest.mark.parametrize(
    "name",
    ["account-compromise", "brute-force-block", "c2-beacon-containment", "malware-on-endpoint"],
)
def test_a_shipped_playbook_is_valid(name: str) -> None:
    checked = tocsin("playbook", "check", PLAYBOOKS / name)
    assert checked.returncode == 0, checked.stderr
    assert f"valid ({name} 1)" in checked.stdout


def test_a_bad_playbook_is_named_by_file_line_and_fix(
    tmp_path: Path, where: tuple[object, ...]
) -> None:
    (tmp_path / "bad.yaml").write_text(BAD)
    refused = tocsin("playbook", "check", tmp_path / "bad.yaml", *where)
    assert refused.returncode == 1
    assert "bad.yaml:7" in refused.stderr
    assert "block_address" in refused.stderr


def test_each_of_several_mistakes_is_reported_in_the_same_form(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(
        "playbook: bad\nversion: one\ntitle: T\nowner: 5\nsteps: []\n"
    )
    mistakes = tocsin("playbook", "check", tmp_path / "bad.yaml").stderr.splitlines()
    assert len(mistakes) > 1
    assert all(re.match(r"tocsin: \S+bad\.yaml:\d+:\d+: ", line) for line in mistakes), mistakes


def test_lint_ends_with_1_if_there_are_findings_and_annotates_a_pull_request(
    tmp_path: Path, where: tuple[object, ...]
) -> None:
    clean = tocsin("playbook", "lint", SHIPPED, *where)
    assert (clean.returncode, clean.stdout) == (0, "1 playbook: no findings\n")
    file = _without_lease(tmp_path)
    found = tocsin("playbook", "lint", SHIPPED, file, "--format", "github", *where)
    assert found.returncode == 1
    (line,) = found.stdout.splitlines()
    assert line.startswith("::error file=")
    number = 1 + file.read_text("utf-8").splitlines().index("    use: firewall.block_address")
    place = f"a%2Cb.yaml,line={number},col=5,title=contain-without-for"
    assert f"{place}::step block: firewall.block_address has no end" in line
    (finding,) = json.loads(tocsin("playbook", "lint", file, "--json", *where).stdout)
    assert finding["rule"] == "contain-without-for"
    assert (finding["step"], finding["line"]) == ("block", number)


def test_lint_reports_a_playbook_that_does_not_compile_like_any_finding(
    tmp_path: Path, where: tuple[object, ...]
) -> None:
    (tmp_path / "x.yaml").write_text("playbook: x\n")
    found = tocsin("playbook", "lint", tmp_path / "x.yaml", *where)
    assert found.returncode == 1
    assert "[invalid]" in found.stdout


def test_diff_ends_with_0_for_the_same_1_for_another_and_2_for_an_unreadable_file(
    tmp_path: Path,
) -> None:
    file = _without_lease(tmp_path)
    assert tocsin("playbook", "diff", SHIPPED, SHIPPED).returncode == 0
    different = tocsin("playbook", "diff", SHIPPED, file, "--json")
    assert different.returncode == 1
    (change,) = json.loads(different.stdout)["changes"]
    assert "24h" in change["sentence"]
    assert tocsin("playbook", "diff", SHIPPED, tmp_path / "none.yaml").returncode == 2


def test_diff_reads_published_versions_of_an_installation(
    server: ApiServer, tmp_path: Path
) -> None:
    here = ("--data-dir", server.settings.data_dir)
    assert tocsin("playbook", "publish", SHIPPED, *here).returncode == 0
    file = _without_lease(tmp_path)
    different = tocsin(
        "playbook", "diff", "brute-force-block@1", file, "--format", "markdown", *here
    )
    assert different.returncode == 1, different.stderr
    assert "brute-force-block@1" in different.stdout
    unknown = tocsin("playbook", "diff", "brute-force-block@7", SHIPPED, *here)
    assert unknown.returncode == 2


def test_a_draft_and_a_version_are_drawn(server: ApiServer, tmp_path: Path) -> None:
    here = ("--data-dir", server.settings.data_dir)
    assert tocsin("playbook", "publish", SHIPPED, *here).returncode == 0
    drawn = [
        tocsin("playbook", "graph", SHIPPED, "--format", "mermaid"),
        tocsin("playbook", "graph", SHIPPED, "--format", "mermaid", *here),
        tocsin("playbook", "graph", "brute-force-block", "--format", "mermaid", *here),
    ]
    assert [each.returncode for each in drawn] == [0, 0, 0], drawn
    assert len({each.stdout for each in drawn}) == 1
    assert tocsin("playbook", "graph", SHIPPED, "-f", tmp_path / "x.svg").returncode == 0
    assert (tmp_path / "x.svg").read_text("utf-8").startswith("<svg")


CHILD = """\
playbook: child
version: 1
title: Child
owner: soc
inputs:
  address: {type: address}
steps:
  - {id: block, use: firewall.block_address, with: {address: "${{ inputs.address }}"}, for: 1h}
"""
PARENT = """\
playbook: a-parent
version: 1
title: Parent
owner: soc
inputs:
  address: {type: address}
steps:
  - {id: contain, call: child@1, with: {address: "${{ inputs.address }}"}}
"""
TESTS = """\
playbook: PLAYBOOK
cases:
  - name: an address is blocked
    given: {inputs: {address: 203.0.113.9}}
    expect: {status: completed, applied: [firewall.block_address 203.0.113.9]}
"""


def _two_that_call(folder: Path) -> list[Path]:
    for name, text in (("a-parent", PARENT), ("child", CHILD)):
        (folder / name).mkdir()
        (folder / name / "playbook.yaml").write_text(text)
        (folder / name / "tests.yaml").write_text(TESTS.replace("PLAYBOOK", name))
    return [folder / "a-parent", folder / "child"]


def test_playbooks_named_together_know_each_other(
    tmp_path: Path, where: tuple[object, ...]
) -> None:
    both = _two_that_call(tmp_path)
    alone = tocsin("playbook", "check", both[0], *where)
    assert alone.returncode == 1
    assert "child@1 is not published" in alone.stderr
    for verb in ("check", "lint", "test"):
        done = tocsin("playbook", verb, *both, *where)
        assert done.returncode == 0, done.stdout + done.stderr


def test_publish_orders_playbooks_by_their_calls_and_says_what_it_did(
    server: ApiServer, tmp_path: Path
) -> None:
    here = ("--data-dir", server.settings.data_dir)
    both = _two_that_call(tmp_path)
    done = tocsin("playbook", "publish", *both, *here)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith("child version 1 published as live")
    assert second.startswith("a-parent version 1 published as live")
    again = tocsin("playbook", "publish", both[1], *here)
    assert "already published as live; nothing changed" in again.stdout
    (both[1] / "tests.yaml").write_text(TESTS.replace("PLAYBOOK", "child") + "# more\n")
    changed = tocsin("playbook", "publish", both[1], *here)
    assert changed.returncode == 1
    assert "raise `version`" in changed.stderr


def test_a_mistake_in_a_called_playbook_is_reported_with_its_own_place(
    tmp_path: Path, where: tuple[object, ...]
) -> None:
    both = _two_that_call(tmp_path)
    (both[1] / "playbook.yaml").write_text(CHILD.replace("block_address", "blok_address"))
    refused = tocsin("playbook", "check", *both, *where)
    assert refused.returncode == 1
    assert "child/playbook.yaml:8" in refused.stderr
    assert "did you mean 'block_address'" in refused.stderr
