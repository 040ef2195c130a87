"""What was a step answered then? By action and input: in runs about the same alert, else the same incident, else the nearest in time."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from orchestrator.store.queries.history import Recorded, StoredAlert

MOST = 200_000
"""Records that are kept at hand."""


class Past:
    """What was recorded, as far as it was loaded."""

    def __init__(self) -> None:
        self._reads: dict[tuple[str, ...], list[Recorded]] = {}
        self._planned_changes: dict[tuple[str, ...], list[Recorded]] = {}
        self._forms: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._count = 0

    @property
    def full(self) -> bool:
        """Whether it is time to begin anew."""
        return self._count > MOST

    def add(self, records: Iterable[Recorded]) -> None:
        """Takes records up, in whatever order."""
        for each in records:
            self._count += 1
            if each.digest is not None and each.planned_change is not None:
                self._file(self._planned_changes, each.digest, each)
            elif each.digest is not None and each.result is not None:
                self._file(self._reads, each.digest, each)
            elif each.kind == "ask" and each.alert_id and isinstance(each.result, dict):
                self._forms[each.playbook, each.alert_id, each.path] = each.result

    def read(self, digest: str, alert: StoredAlert) -> dict[str, Any] | None:
        """What a read answered."""
        found = self._nearest(self._reads, digest, alert)
        return found.result if found is not None and isinstance(found.result, dict) else None

    def planned(self, digest: str, alert: StoredAlert) -> Recorded | None:
        """What a change was planned as; its result, where it was made."""
        return self._nearest(self._planned_changes, digest, alert)

    def form(self, playbook: str, alert: StoredAlert, path: str) -> dict[str, Any]:
        """What people filled in."""
        return self._forms.get((playbook, alert.id, path), {})

    @staticmethod
    def _file(drawer: dict[tuple[str, ...], list[Recorded]], digest: str, record: Recorded) -> None:
        for key in (
            (digest,),
            (digest, "alert", record.alert_id or ""),
            (digest, "incident", record.incident_id or ""),
        ):
            insort(drawer.setdefault(key, []), record, key=_at)

    @staticmethod
    def _nearest(
        drawer: dict[tuple[str, ...], list[Recorded]], digest: str, alert: StoredAlert
    ) -> Recorded | None:
        for key in (
            (digest, "alert", alert.id),
            (digest, "incident", alert.incident_id),
            (digest,),
        ):
            if line := drawer.get(key):
                return _closest(line, alert.received_at)
        return None


def _at(record: Recorded) -> datetime:
    return record.at


def _closest(line: Sequence[Recorded], at: datetime) -> Recorded:
    place = bisect_left(line, at, key=_at)
    around = line[max(0, place - 1) : place + 1]
    return min(around, key=lambda each: abs(each.at - at))
