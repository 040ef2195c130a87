"""Do `playbook lint` and `playbook diff` end with the code that a pipeline relies on?"""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.test_commands import tocsin

SHIPPED = Path(__file__).parents[2] / "playbooks" / "brute-force-block"


def _without_lease(folder: Path) -> Path:
    file = folder / "a,b.yaml"
    file.write_text(
        (SHIPPED / "playbook.yaml").read_text("utf-8").replace("    for: 24h\n", ""), "utf-8"
    )
    return file


def test_lint_ends_with_1_if_anything_is_unwise_and_annotates_a_pull_request(
    tmp_path: Path,
) -> None:
    assert tocsin("playbook", "lint", SHIPPED).returncode == 0
    file = _without_lease(tmp_path)
    found = tocsin("playbook", "lint", SHIPPED, file, "--format", "github")
    assert found.returncode == 1
    (line,) = found.stdout.splitlines()
    assert line.startswith("::error file=")
    assert (
        "a%2Cb.yaml,line=46,col=5,title=contain-without-for::step block: firewall.block_address stays"
        in line
    )
    (finding,) = json.loads(tocsin("playbook", "lint", file, "--json").stdout)
    assert (finding["rule"], finding["step"], finding["line"]) == (
        "contain-without-for",
        "block",
        46,
    )


def test_lint_tells_of_a_playbook_that_does_not_compile_as_of_any_finding(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("playbook: x\n")
    found = tocsin("playbook", "lint", tmp_path / "x.yaml")
    assert found.returncode == 1
    assert "[invalid]" in found.stdout


def test_diff_ends_with_0_for_the_same_1_for_another_and_2_for_what_cannot_be_read(
    tmp_path: Path,
) -> None:
    file = _without_lease(tmp_path)
    assert tocsin("playbook", "diff", SHIPPED, SHIPPED).returncode == 0
    found = tocsin("playbook", "diff", SHIPPED, file, "--json")
    assert found.returncode == 1
    (change,) = json.loads(found.stdout)["changes"]
    assert change["sentence"] == "step block stays until it is lifted by hand now, not 24h"
    assert tocsin("playbook", "diff", SHIPPED, tmp_path / "none.yaml").returncode == 2


def test_diff_reads_published_versions_of_a_data_directory(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert tocsin("playbook", "publish", SHIPPED, "--data-dir", data).returncode == 0
    found = tocsin(
        "playbook",
        "diff",
        "brute-force-block@1",
        _without_lease(tmp_path),
        "--data-dir",
        data,
        "--format",
        "markdown",
    )
    assert found.returncode == 1, found.stderr
    assert "**Does more, or is asked less**" in found.stdout
    assert (
        tocsin("playbook", "diff", "brute-force-block@7", SHIPPED, "--data-dir", data).returncode
        == 2
    )
