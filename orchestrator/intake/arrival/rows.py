"""The rows of new alerts, with what the inventory knows of their hosts and users."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from orchestrator.domain.alert import Alert, alert_view
from orchestrator.domain.digest import new_id
from orchestrator.intake.correlate import fingerprint_of
from orchestrator.intake.normalize import enrich
from orchestrator.store.queries import policy_inputs
from orchestrator.store.queries.policy_inputs import KnownAsset
from orchestrator.store.session import Store
from orchestrator.store.statements import intake as statements
from orchestrator.store.statements.driver import Driver
from orchestrator.store.tables import AlertRow, SourceRow

_MAX_NAMES = 400  # in one statement


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


async def enrich_rows(store: Store, driver: Driver, rows: Sequence[AlertRow]) -> None:
    """Add what the inventory knows of the hosts and users of alerts to their views."""
    wanted = {name for row in rows for name in enrich.asset_names(row.view)}
    names = await _in_inventory(driver, wanted) if wanted else []
    inventory: dict[enrich.Name, list[KnownAsset]] = defaultdict(list)
    if names:
        async with store.read() as session:
            for start in range(0, len(names), _MAX_NAMES):
                part = names[start : start + _MAX_NAMES]
                for asset in await policy_inputs.find_assets(session, part):
                    for name in asset.names:
                        inventory[name] += [asset] if asset not in inventory[name] else []
    for row in rows:
        row.view = enrich.enrich(row.view, inventory)


async def _in_inventory(driver: Driver, wanted: set[enrich.Name]) -> list[enrich.Name]:
    """Return the names that the inventory has; for most alerts there is none."""
    values = sorted({value for _, value in wanted})
    found = await statements.INVENTORY_NAMES.rows(driver, {"values": values})
    return sorted(wanted & {(kind, value) for kind, value in found})
