"""The ledger: the store's content by plain SQL, past the code under test and without waiting."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestrator.domain.audit_event import EventKind

_INTENDED = (EventKind.STEP_INTENDED.value, EventKind.DRIFT_INTENDED.value)


class Ledger:
    """Reads committed data only."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
        self._db.row_factory = sqlite3.Row

    def close(self) -> None:
        self._db.close()

    def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        return [dict(row) for row in self._db.execute(sql, values)]

    def count(self, sql: str, *values: Any) -> int:
        return int(self._db.execute(f"SELECT count(*) FROM {sql}", values).fetchone()[0])

    def last_event(self) -> int:
        return int(
            self._db.execute("SELECT coalesce(max(number), 0) FROM audit_events").fetchone()[0]
        )

    def key_of(self, target: str) -> str | None:
        found = self._db.execute(
            "SELECT key FROM containments WHERE target_value = ?", (target,)
        ).fetchone()
        return found[0] if found else None

    def intents_since(self, target: str, number: int) -> int:
        """Count intents to change a target, in the trail after an event."""
        marks = ", ".join("?" * len(_INTENDED))
        found = self.rows(
            f"SELECT kind, data FROM audit_events WHERE number > ? AND kind IN ({marks})",
            number,
            *_INTENDED,
        )
        return sum(target in row["data"] for row in found)

    def undo_intents_since(self, key: str, number: int) -> int:
        """Count intents to undo effects of a containment, in the trail after an event."""
        effects = {
            row["id"] for row in self.rows("SELECT id FROM effects WHERE containment_key = ?", key)
        }
        kind = EventKind.UNDO_INTENDED.value
        found = self.rows(
            "SELECT data FROM audit_events WHERE number > ? AND kind = ?", number, kind
        )
        return sum(json.loads(row["data"]).get("effect") in effects for row in found)

    def undo_intents_of(self, target: str, number: int) -> int:
        """Count intents to undo effects on a target, in the trail after an event."""
        effects = {
            row["id"] for row in self.rows("SELECT id FROM effects WHERE target_value = ?", target)
        }
        kind = EventKind.UNDO_INTENDED.value
        found = self.rows(
            "SELECT data FROM audit_events WHERE number > ? AND kind = ?", number, kind
        )
        return sum(json.loads(row["data"]).get("effect") in effects for row in found)

    def newest_effect(self, run_id: str, path: str) -> dict[str, Any] | None:
        found = self.rows(
            "SELECT * FROM effects WHERE run_id = ? AND path = ? ORDER BY intended_at DESC LIMIT 1",
            run_id,
            path,
        )
        return found[0] if found else None

    def approved_changes(self, approval_id: str) -> set[str]:
        """Return digests of the changes that all approvers chose; none unless it is approved."""
        (row,) = self.rows("SELECT * FROM approvals WHERE id = ?", approval_id)
        if row["state"] != "approved":
            return set()
        digests = {change["digest"] for change in json.loads(row["changes"])}
        for answer in self.rows(
            "SELECT * FROM approval_decisions WHERE approval_id = ? AND decision = 'approve'",
            approval_id,
        ):
            chosen = json.loads(answer["form"] or "null")
            digests &= set(chosen["changes"]) if chosen else digests
        return digests


def parse_time(text: str) -> datetime:
    """Return a time that SQLite stores as text."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
