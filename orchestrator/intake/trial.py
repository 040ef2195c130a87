"""Trials: what would come out of a payload of a source. Nothing of it is stored."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from orchestrator.domain.alert import Alert, Omission
from orchestrator.domain.model import Frozen
from orchestrator.intake.arrival.rows import alert_row, enrich_rows
from orchestrator.intake.batch import RejectedItem
from orchestrator.intake.delivery import WebhookDelivery, parse_payloads, read_payloads
from orchestrator.intake.errors import NotAnAlert
from orchestrator.intake.mapping import check_mapping
from orchestrator.intake.matching.triggers import TriggerResults, candidates
from orchestrator.intake.parsers import parser_for
from orchestrator.intake.sources import load_source, parser_of
from orchestrator.runtime import Runtime
from orchestrator.store.statements import intake as statements
from orchestrator.store.tables import AlertRow

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
    rows = [
        alert_row(row, alert, "inc_1", sha256, now, f"alert_{number}")
        for number, alert in enumerate(shown, start=1)
    ]
    async with rt.store.reader() as driver:
        await enrich_rows(rt.store, driver, rows)
        playbooks = await candidates(rt.store, driver)
        keys = [alert.dedup_key for alert in shown]
        found = await statements.KNOWN_ALERTS.rows(driver, {"source": source, "keys": keys})
    known = {key for key, _, _ in found}
    triggers = TriggerResults()
    for each, alert in zip(rows, shown, strict=True):
        if not alert.resolved:
            await triggers.evaluate(playbooks, each)
    return PayloadTrial(
        alerts=[
            _tried(each, alert, triggers, duplicate=alert.dedup_key in known)
            for each, alert in zip(rows, shown, strict=True)
        ],
        total=len(batch),
        rejected=list(batch.rejected),
        ignored=None,
    )


def _tried(row: AlertRow, alert: Alert, triggers: TriggerResults, *, duplicate: bool) -> TriedAlert:
    matches, errors = triggers.by_alert.get(row.id, ([], {}))
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
