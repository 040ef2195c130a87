"""Diagnostics: the problems of one file, collected while it is parsed and checked."""

from __future__ import annotations

from typing import Any

from orchestrator.playbook.language.yaml import Document, Path
from orchestrator.playbook.problems import PlaybookInvalid, PlaybookProblem

STEP_LISTS = frozenset({"steps", "parallel", "otherwise", "on_error", "on_failure"})


class Diagnostics:
    """The problems of one file. A path is the keys and indices of a node of the YAML data."""

    def __init__(self, file: str, document: Document) -> None:
        self._file = file
        self._document = document
        self._problems: list[PlaybookProblem] = []

    def add(self, path: Path, message: str, fix: str | None = None, *, key: bool = False) -> None:
        """Add a problem with the value at a path, or with its key."""
        place = self._document.at(path, key=key)
        self._problems.append(
            PlaybookProblem(self._file, place.line, place.column, self.step_at(path), message, fix)
        )

    def step_at(self, path: Path) -> str | None:
        """Return the id of the innermost step around a path that has an id."""
        for end in range(len(path), 1, -1):
            if is_step(path[:end]):
                found = value_at(self._document.data, path[:end])
                if isinstance(found, dict) and isinstance(found.get("id"), str):
                    return str(found["id"])
        return None

    def raise_any(self) -> None:
        """Raise PlaybookInvalid if there is any problem."""
        if self._problems:
            raise PlaybookInvalid(self._problems)


def is_step(path: Path) -> bool:
    """Whether a path leads to a step, rather than to a part of one."""
    return (
        len(path) > 1
        and isinstance(path[-1], int)
        and path[-2] in STEP_LISTS
        and "with" not in path
    )


def value_at(data: Any, path: Path) -> Any:
    """Return the value at a path; None where the path does not exist."""
    for part in path:
        in_mapping = isinstance(data, dict) and part in data
        in_list = isinstance(data, list) and isinstance(part, int) and part < len(data)
        if not (in_mapping or in_list):
            return None
        data = data[part]
    return data
