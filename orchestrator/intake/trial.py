"""Trials: what would come out of a payload of a source. Nothing of it is stored."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from orchestrator.domain.alert import Alert, Omission, alert_view
from orchestrator.domain.model import Frozen
from orchestrator.intake import match
from orchestrator.intake.batch import RejectedItem
from orchestrator.intake.correlate import fingerprint_of
from orchestrator.intake.delivery import WebhookDelivery, parse_payloads, read_payloads
from orchestrator.intake.errors import NotAnAlert
from orchestrator.intake.mapping import check_mapping
from orchestrator.intake.normalize import enrich
from orchestrator.intake.parsers import parser_for
from orchestrator.intake.persist import load_inventory
from orchestrator.intake.sources import load_source, parser_of
from orchestrator.runtime import Runtime
from orchestrator.store.queries import alerts
from orchestrator.store.tables import AlertRow, SourceRow

MAX_SHOWN = 100
"""The maximum number of alerts that a trial shows."""

_FIELDS = ("rule", "techniques", "host", "user", "remote", "local", "file", "process", "url")


class TriedMatch(Frozen):
    """A playbook whose trigger matches."""

    playbook: str
    version: int
    key: str = Field(description="The value of `once_per`.")
    shadow: bool = Field(description="Whether it only runs dry, next to the live version.")


class TriedAlert(Frozen):
    """An alert that would be stored."""

    alert: dict[str, Any] = Field(description="As playbooks read it.")
    missing: list[str] = Field(description="The fields that the payload does not fill.")
    incomplete: list[Omission] = Field(description="What the payload holds and it leaves out.")
    matched: list[TriedMatch]
    triggers_failed: dict[str, str] = Field(description="By playbook, why its trigger fails.")
    duplicate: bool = Field(description="Whether the source has sent it before.")


class PayloadTrial(Frozen):
    """What would come out of a payload."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "alerts": [],
                "total": 0,
                "rejected": [],
                "ignored": "suricata: event_type 'flow' is telemetry, not an alert",
            }
        }
    )

    alerts: Annotated[list[TriedAlert], Field(description="The first 100 of them.")]
    total: int = Field(description="How many alerts the payload holds.")
    rejected: list[RejectedItem] = Field(description="Items that cannot be read.")
    ignored: str | None = Field(description="What the payload holds instead of an alert.")


async def try_payload(
    rt: Runtime, source: str, delivery: WebhookDelivery, mapping: dict[str, Any] | None = None
) -> PayloadTrial:
    """Return what would come out of a payload, with the source's mapping or the given one.

    Raise NotFound, Invalid (the mapping), BodyRefused or Unparseable as the webhook does.
    """
    now, row = rt.clock(), await load_source(rt, source)
    parser = parser_of(row) if mapping is None else parser_for(row.product, check_mapping(mapping))
    payloads = read_payloads(delivery, rt.settings.max_body_bytes)
    try:
        batch = parse_payloads(parser, payloads, now)
    except NotAnAlert as telemetry:
        return PayloadTrial(alerts=[], total=0, rejected=[], ignored=str(telemetry))
    shown = batch.alerts[:MAX_SHOWN]
    sha256 = hashlib.sha256(payloads.body).hexdigest()
    rows = [_row(row, alert, number, sha256, now) for number, alert in enumerate(shown)]
    async with rt.store.read() as session:
        inventory = await load_inventory(session, rows)
        candidates = await match.candidates(session)
        known = await alerts.known(session, source, [alert.dedup_key for alert in shown])
    for each in rows:
        each.view = enrich.enrich(each.view, inventory)
    return PayloadTrial(
        alerts=[
            _tried(each, alert, candidates, duplicate=alert.dedup_key in known)
            for each, alert in zip(rows, shown, strict=True)
        ],
        total=len(batch),
        rejected=list(batch.rejected),
        ignored=None,
    )


def _row(source: SourceRow, alert: Alert, number: int, sha256: str, now: datetime) -> AlertRow:
    """Return a row that is never added to a session."""
    alert_id = f"alert_{number + 1}"
    view = alert_view(
        alert,
        alert_id=alert_id,
        incident_id="inc_1",
        source=source.name,
        product=source.product,
        raw_sha256=sha256,
    )
    return AlertRow(
        id=alert_id,
        source=source.name,
        product=source.product,
        incident_id="inc_1",
        dedup_key=alert.dedup_key,
        fingerprint=fingerprint_of(alert),
        title=alert.title,
        severity=int(alert.severity),
        alert_class=alert.alert_class,
        view=view,
        raw=b"",
        raw_sha256=sha256,
        received_at=now,
        last_seen_at=now,
    )


def _tried(
    row: AlertRow, alert: Alert, candidates: list[match.Candidate], *, duplicate: bool
) -> TriedAlert:
    matches, errors = ([], {}) if alert.resolved else match.match_triggers(candidates, row)
    return TriedAlert(
        alert=row.view,
        missing=[name for name in _FIELDS if not row.view[name]],
        incomplete=list(alert.incomplete),
        matched=[
            TriedMatch(
                playbook=each.candidate.plan.playbook,
                version=each.candidate.plan.version,
                key=each.key,
                shadow=each.candidate.shadow,
            )
            for each in matches
        ],
        triggers_failed=errors,
        duplicate=duplicate,
    )
