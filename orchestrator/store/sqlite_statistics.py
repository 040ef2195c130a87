"""Statistics for the planner of SQLite: those of large tables, whatever the tables have now.

SQLite gathers none by itself, and takes every index for equally good: it would read all pending
approvals to find those of one run. PostgreSQL gathers its own.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

CONFIGURATION = frozenset(
    {
        "api_keys",
        "asset_names",
        "assets",
        "audit_sinks",
        "breakers",
        "connections",
        "contacts",
        "identities",
        "installation",
        "kill_switches",
        "own_infrastructure",
        "people",
        "playbook_versions",
        "policies",
        "signing_keys",
        "source_days",
        "sources",
        "version_signatures",
    }
)
"""Tables of what people configure, and of one row for each source and day. Any other grows."""

FEW_VALUES = frozenset(
    {
        "action",
        "actor",
        "alert_class",
        "channel",
        "connection",
        "delivered",
        "dispatched",
        "kind",
        "mode",
        "person",
        "playbook",
        "review",
        "severity",
        "source",
        "state",
        "status",
        "target_type",
        "type",
        "version",
    }
)
"""Columns of which each value is that of a growing number of rows. Any other names one thing."""

_ROWS, _CONFIGURED, _OPEN = 1_000_000, 1_000, 1_000
_EACH = 10  # rows with one value of a column that names one thing


def write_statistics(connection: Connection) -> None:
    """Replace the statistics of all indexes. A new connection plans by them."""
    connection.execute(text("ANALYZE sqlite_schema"))  # creates their table
    connection.execute(text("DELETE FROM sqlite_stat1"))
    indexes = connection.execute(
        text("SELECT tbl_name, name, sql LIKE '% WHERE %' FROM sqlite_schema WHERE type = 'index'")
    ).all()
    for table, index, is_partial in indexes:
        rows = _OPEN if is_partial else _CONFIGURED if table in CONFIGURATION else _ROWS
        columns = connection.execute(
            text("SELECT name FROM pragma_index_info(:index) ORDER BY seqno"), {"index": index}
        ).scalars()
        connection.execute(
            text("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (:table, :index, :stat)"),
            {
                "table": table,
                "index": index,
                "stat": _statistic(rows, list(columns), is_unique=index.startswith("sqlite_")),
            },
        )
    connection.execute(text("ANALYZE sqlite_schema"))  # which reads them again


def _statistic(rows: int, columns: list[str], *, is_unique: bool) -> str:
    """Return the rows of an index, then those with one value of its first 1, 2, ... columns."""
    found, each = [rows], rows
    for column in columns:
        each = max(each // 10, 1) if column in FEW_VALUES else min(each, _EACH)
        found.append(each)
    if is_unique:
        found[-1] = 1
    return " ".join(map(str, found))
