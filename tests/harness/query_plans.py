"""Plans of SQLite, and which of them cost more as a table grows."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from orchestrator.store.sqlite_statistics import CONFIGURATION, FEW_VALUES
from tests.harness.every_query import Statement

_PIECES = {"id", "key", "number", "seq", "rowid"}
"""Keys of which a statement takes a piece: a prefix, or so many numbers."""
_STEP = re.compile(r"(SCAN|SEARCH) (\w+?)(?:_\d+)?(?: USING (.*))?$")
_USING = re.compile(
    r"(?:AUTOMATIC )?(?:PARTIAL )?(?:COVERING )?(?:INDEX (\w+)|INTEGER PRIMARY KEY)(?: \((.*)\))?(?: LEFT-JOIN)?$"
)


class Fault(NamedTuple):
    """A step of a plan that costs more as a table grows."""

    function: str
    table: str
    step: str
    filters: frozenset[str]
    """The columns by which rows are left out until a page is full; none: all that fit are read."""

    def __str__(self) -> str:
        """Return what a person needs to find it."""
        how = f"until a page fits {', '.join(sorted(self.filters))}" if self.filters else "all"
        return f"{self.function} reads {how}: {self.step}"


def growing_costs(database: Path, statements: Iterable[Statement]) -> Iterator[Fault]:
    """Yield what SQLite plans that takes longer the more rows a growing table has."""
    with closing(sqlite3.connect(database)) as db:
        tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type='table'")}
        partial = {
            row[0]
            for row in db.execute(
                "SELECT name FROM sqlite_master WHERE type='index' AND sql LIKE '% WHERE %'"
            )
        }
        for statement in statements:
            if not statement.text.lstrip("( \n").startswith(("SELECT", "UPDATE", "DELETE", "WITH")):
                continue
            explained = f"EXPLAIN QUERY PLAN {statement.text}"
            plan = [row[3] for row in db.execute(explained, statement.parameters or ())]
            for step in plan:
                found = _STEP.match(step)
                if found is None or found[2] not in tables - CONFIGURATION:
                    continue
                filters = _filters(db, statement.text, plan, found, partial)
                if filters is not None:
                    yield Fault(statement.function, found[2], step, filters)


def _filters(
    db: sqlite3.Connection, text: str, plan: list[str], step: re.Match[str], partial: set[str]
) -> frozenset[str] | None:
    """Return the filters of a step that costs more as its table grows; None: it does not."""
    kind, table, using = step.groups()
    if kind == "SEARCH" and using is None:
        return None  # the smallest or the largest of an index
    by = _USING.match(using or "")
    index, terms = (by[1], by[2] or "") if by else (None, "")
    exact = set(re.findall(r"(\w+)=\?", terms))
    ranges = re.findall(r"(\w+)[<>]\?", terms)
    is_literal = "state" in exact and re.search(rf"\b{table}\.state = '", text)
    if index in partial or is_literal:
        return None  # of the rows that are open, or due
    is_piece = any(ranges.count(name) == 2 and name in _PIECES for name in ranges)
    if "AUTOMATIC" not in (using or "") and (is_piece or exact - FEW_VALUES):
        return None
    if ranges and text.startswith("DELETE"):
        return None  # all that it reads it removes
    sorts = [each for each in plan if each.startswith("USE TEMP B-TREE FOR")]
    if "LIMIT" not in text or any(" OF ORDER BY" not in each for each in sorts):
        return frozenset()
    columns = {row[2] for row in db.execute(f"PRAGMA index_info({index})")} if index else set()
    where = text.partition("WHERE")[2].partition("ORDER BY")[0]
    others = set(re.findall(rf"\b{table}\.(\w+)", where)) - columns - _PIECES
    return frozenset(others) or None
