"""An index of recorded reads, plans and forms.

Records are found by action and input: first of the same alert, then of the same incident, then the
nearest in time.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from orchestrator.store.queries.history import RecordedStep, StoredAlert

MOST = 200_000
"""Records that are kept in memory."""


class HistoryIndex:
    """The records that were loaded so far."""

    def __init__(self) -> None:
        self._reads: dict[tuple[str, ...], list[RecordedStep]] = {}
        self._planned_changes: dict[tuple[str, ...], list[RecordedStep]] = {}
        self._forms: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._count = 0

    @property
    def full(self) -> bool:
        """Whether the index should be replaced by an empty one."""
        return self._count > MOST

    def add(self, records: Iterable[RecordedStep]) -> None:
        """Add records, in any order."""
        for each in records:
            self._count += 1
            if each.digest is not None and each.planned_change is not None:
                self._file(self._planned_changes, each.digest, each)
            elif each.digest is not None and each.result is not None:
                self._file(self._reads, each.digest, each)
            elif each.kind == "ask" and each.alert_id and isinstance(each.result, dict):
                self._forms[each.playbook, each.alert_id, each.path] = each.result

    def read(self, digest: str, alert: StoredAlert) -> dict[str, Any] | None:
        """Return what a read answered."""
        found = self._nearest(self._reads, digest, alert)
        return found.result if found is not None and isinstance(found.result, dict) else None

    def planned(self, digest: str, alert: StoredAlert) -> RecordedStep | None:
        """Return the record of a planned change, with its result where it was applied."""
        return self._nearest(self._planned_changes, digest, alert)

    def form(self, playbook: str, alert: StoredAlert, path: str) -> dict[str, Any]:
        """Return how people filled in a form."""
        return self._forms.get((playbook, alert.id, path), {})

    @staticmethod
    def _file(
        index: dict[tuple[str, ...], list[RecordedStep]], digest: str, record: RecordedStep
    ) -> None:
        for key in (
            (digest,),
            (digest, "alert", record.alert_id or ""),
            (digest, "incident", record.incident_id or ""),
        ):
            insort(index.setdefault(key, []), record, key=_at)

    @staticmethod
    def _nearest(
        index: dict[tuple[str, ...], list[RecordedStep]], digest: str, alert: StoredAlert
    ) -> RecordedStep | None:
        for key in (
            (digest, "alert", alert.id),
            (digest, "incident", alert.incident_id),
            (digest,),
        ):
            if line := index.get(key):
                return _closest(line, alert.received_at)
        return None


def _at(record: RecordedStep) -> datetime:
    return record.at


def _closest(line: Sequence[RecordedStep], at: datetime) -> RecordedStep:
    place = bisect_left(line, at, key=_at)
    around = line[max(0, place - 1) : place + 1]
    return min(around, key=lambda each: abs(each.at - at))
