"""Every attack that a test plays is named in docs/security.md, with the test."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "security.md"


def attacks() -> dict[str, list[str]]:
    """Return what the attackers do in each file of tests."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.attack":
                [does] = node.args
                said = found.setdefault(str(path.relative_to(ROOT)), [])
                assert isinstance(does, ast.Constant), f"{path}: an attack is a literal sentence"
                if does.value not in said:
                    said.append(str(does.value))
    return found


def row(path: str, does: list[str]) -> str:
    """Return the row of the page for a file of tests."""
    return f"| `{path}` | {'; '.join(does)} |"


def test_every_attack_that_a_test_plays_has_a_row_with_its_test() -> None:
    page = PAGE.read_text().splitlines()
    rows = [line for line in page if line.startswith("| `tests/")]
    wanted = [row(path, does) for path, does in attacks().items()]
    assert rows == wanted, "write these rows into docs/security.md:\n" + "\n".join(wanted)
