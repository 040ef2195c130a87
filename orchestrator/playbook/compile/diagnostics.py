"""Where problems are collected while a playbook is read and checked; knows which step a path lies in."""

from __future__ import annotations

from typing import Any

from orchestrator.playbook.language.yaml import Document, Path
from orchestrator.playbook.problems import PlaybookInvalid, Problem

STEP_LISTS = frozenset({"steps", "parallel", "otherwise", "on_error", "on_failure"})


class Report:
    """The problems of one file. Paths are those of the YAML data: keys and indices."""

    def __init__(self, file: str, document: Document) -> None:
        self._file = file
        self._document = document
        self._problems: list[Problem] = []

    def add(self, path: Path, message: str, mend: str | None = None, *, key: bool = False) -> None:
        """Note a problem with the value at a path, or with its key."""
        place = self._document.at(path, key=key)
        self._problems.append(
            Problem(self._file, place.line, place.column, self.step_at(path), message, mend)
        )

    def step_at(self, path: Path) -> str | None:
        """The id of the innermost step that a path lies in; the outer one's where it has none."""
        for end in range(len(path), 1, -1):
            if is_step(path[:end]):
                found = value_at(self._document.data, path[:end])
                if isinstance(found, dict) and isinstance(found.get("id"), str):
                    return str(found["id"])
        return None

    def raise_any(self) -> None:
        """Raises PlaybookInvalid if there is any problem."""
        if self._problems:
            raise PlaybookInvalid(self._problems)


def is_step(path: Path) -> bool:
    """Whether a path is that of a step, rather than of a part of one."""
    return (
        len(path) > 1
        and isinstance(path[-1], int)
        and path[-2] in STEP_LISTS
        and "with" not in path
    )


def value_at(data: Any, path: Path) -> Any:
    """What stands at a path; None where it leads nowhere."""
    for part in path:
        in_mapping = isinstance(data, dict) and part in data
        in_list = isinstance(data, list) and isinstance(part, int) and part < len(data)
        if not (in_mapping or in_list):
            return None
        data = data[part]
    return data
