"""The rows of a body's new alerts with what the triggers say of them, before the transaction.

Only what others could change meanwhile is left to the transaction: whether an alert is known, and
which incident it joins. Where that differs, the body is foreseen again.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.domain.alert import Alert, alert_view
from orchestrator.domain.digest import new_id
from orchestrator.intake.correlate import Incidents, fingerprint_of
from orchestrator.intake.matching.triggers import TriggerResults, candidates, evaluate_triggers
from orchestrator.intake.normalize import enrich
from orchestrator.runtime import Runtime
from orchestrator.store.queries import alerts, policy_inputs
from orchestrator.store.queries.policy_inputs import KnownAsset
from orchestrator.store.tables import AlertRow, SourceRow

_MAX_NAMES = 400  # in one statement


class Overtaken(Exception):
    """Another body changed what was foreseen of this one."""


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a body will commit, unless another one comes first."""

    rows: Mapping[str, AlertRow]
    """By dedup key; they belong to no session."""
    opened: Mapping[str, str]
    """The ids of incidents, by the dedup key of the alert that opens one."""
    triggers: TriggerResults

    def row(self, alert: Alert, incident_id: str) -> AlertRow:
        """Return the row of an alert. Raise Overtaken where it joins another incident."""
        row = self.rows.get(alert.dedup_key)
        if row is None or row.incident_id != incident_id:
            raise Overtaken
        return row


async def foresee(
    rt: Runtime, source: SourceRow, parsed: Sequence[Alert], body: bytes, now: datetime
) -> Foreseen:
    """Return what a body will commit. `parsed`: its alerts, each key once."""
    sha256 = hashlib.sha256(body).hexdigest()
    async with rt.store.read() as session:
        known = await alerts.known(session, source.name, [alert.dedup_key for alert in parsed])
        new = [alert for alert in parsed if alert.dedup_key not in known]
        incidents = await Incidents.load(session, source, new, now)
        playbooks = await candidates(session) if new else []
        rows: dict[str, AlertRow] = {}
        opened: dict[str, str] = {}
        for alert in new:
            before, incident = len(incidents.opened), incidents.join(alert)
            opened |= {alert.dedup_key: incident.id} if len(incidents.opened) > before else {}
            rows[alert.dedup_key] = alert_row(source, alert, incident.id, sha256, now)
        await enrich_rows(session, list(rows.values()))
    open_ = [rows[alert.dedup_key] for alert in new if not alert.resolved]
    return Foreseen(rows, opened, await evaluate_triggers(playbooks, open_))


def alert_row(
    source: SourceRow,
    alert: Alert,
    incident_id: str,
    raw_sha256: str,
    now: datetime,
    alert_id: str | None = None,
) -> AlertRow:
    """Return the row of a new alert, without its body."""
    row_id = alert_id or new_id("alert")
    view = alert_view(
        alert,
        alert_id=row_id,
        incident_id=incident_id,
        source=source.name,
        product=source.product,
        raw_sha256=raw_sha256,
    )
    return AlertRow(
        id=row_id,
        source=source.name,
        product=source.product,
        dedup_key=alert.dedup_key,
        fingerprint=fingerprint_of(alert),
        incident_id=incident_id,
        title=alert.title,
        severity=int(alert.severity),
        alert_class=alert.alert_class,
        view=view,
        raw=b"",
        raw_sha256=raw_sha256,
        received_at=now,
        last_seen_at=now,
    )


async def enrich_rows(session: AsyncSession, rows: Sequence[AlertRow]) -> None:
    """Add what the inventory knows of the hosts and users of alerts to their views."""
    names = list(dict.fromkeys(name for row in rows for name in enrich.asset_names(row.view)))
    inventory: dict[enrich.Name, list[KnownAsset]] = defaultdict(list)
    for start in range(0, len(names), _MAX_NAMES):
        assets = await policy_inputs.find_assets(session, names[start : start + _MAX_NAMES])
        for asset in assets:
            for name in asset.names:
                inventory[name] += [asset] if asset not in inventory[name] else []
    for row in rows:
        row.view = enrich.enrich(row.view, inventory)
