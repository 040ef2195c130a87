"""Files and folders stay small, and SQL stands in the store only."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("orchestrator", "api", "connectors")
MAX_LINES = 300
MAX_FILES = 16
LONGER = {"orchestrator/store/migrations/versions/r0001_first.py"}
"""Files that may be longer: one statement per table."""
ALLOWED = {"sqlalchemy.exc", "sqlalchemy.ext.asyncio"}
"""What of SQLAlchemy others than the store may import: errors, and the session that they pass on."""


def _files() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_no_file_is_longer_than_300_lines() -> None:
    long = {
        _name(path): lines
        for path in _files()
        if (lines := len(path.read_text("utf-8").splitlines())) > MAX_LINES
    }
    assert {name: lines for name, lines in long.items() if name not in LONGER} == {}


def test_no_folder_has_more_than_16_files() -> None:
    counts = Counter(_name(path.parent) for path in _files() if path.name != "__init__.py")
    assert {folder: count for folder, count in counts.items() if count > MAX_FILES} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_sql_stands_in_the_store_only(package: str) -> None:
    found = [
        f"{_name(path)} imports {module}"
        for path in sorted((ROOT / package).rglob("*.py"))
        if not _name(path).startswith("orchestrator/store/")
        for module in _imports(path)
        if module.partition(".")[0] in {"sqlalchemy", "sqlmodel"} and module not in ALLOWED
    ]
    assert found == []


def _imports(path: Path) -> list[str]:
    modules: list[str] = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Import(names=names):
                modules += [alias.name for alias in names]
            case ast.ImportFrom(module=str(module), level=0):
                modules.append(module)
    return modules
