"""The way of an alert into the store: authenticated, read, de-duplicated, joined to an incident, matched; committed or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta

from pydantic import SecretStr
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit import trail
from orchestrator.configuration.sources import context
from orchestrator.domain.alert import Alert, view
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.digest import digest
from orchestrator.domain.errors import NotFound
from orchestrator.domain.identifiers import new_id
from orchestrator.domain.model import Frozen
from orchestrator.intake.authentication import (
    REPLAY_WINDOW,
    NotAuthentic,
    Reason,
    Scheme,
    SchemeOptions,
    authenticate,
    single_headers,
)
from orchestrator.intake.body import parse_json
from orchestrator.intake.mapping import check_mapping
from orchestrator.intake.match import start_matching, with_assets
from orchestrator.intake.refusal import NotAnAlert
from orchestrator.intake.sources import parser_for
from orchestrator.runtime import Runtime
from orchestrator.store import alerts, configured
from orchestrator.store.tables import AlertRow, IncidentRow, SourceRow


class AcceptedAlert(Frozen):
    """One alert of a body."""

    alert_id: str
    incident_id: str
    duplicate: bool


class Accepted(Frozen):
    """What became of a body; `ignored` says why it held no alert."""

    alerts: tuple[AcceptedAlert, ...] = ()
    run_ids: tuple[str, ...] = ()
    ignored: str | None = None

    @property
    def duplicate(self) -> bool:
        """Whether all of it was known."""
        return bool(self.alerts) and all(alert.duplicate for alert in self.alerts)


async def accept(rt: Runtime, source: str, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> Accepted:
    """Commits the alerts of a body. Raises NotFound, NotAuthentic, BodyRefused, Unparseable; then nothing was kept but the refusal."""
    now = rt.clock()
    row = await _source(rt, source)
    replay_id = await _authenticated(rt, row, headers, body, now)
    payload = parse_json(body, rt.settings.max_body_bytes)
    mapping = check_mapping(row.mapping) if row.mapping else None
    try:
        found = parser_for(row.product, mapping)(payload, now)
    except NotAnAlert as telemetry:
        return Accepted(ignored=str(telemetry))
    try:
        return await _commit(rt, row, found, body, replay_id, now)
    except IntegrityError:  # another process committed the same alert between our look and our insert: now it is known
        return await _commit(rt, row, found, body, None, now)


async def _source(rt: Runtime, name: str) -> SourceRow:
    async with rt.store.read() as session:
        row = await configured.one(session, SourceRow, name)
    if row is None:
        raise NotFound("there is no such source; an admin adds one with `tocsin source add`")
    return row


async def _authenticated(rt: Runtime, row: SourceRow, headers: Iterable[tuple[bytes, bytes]], body: bytes, now: datetime) -> str | None:
    secret = SecretStr(rt.secrets.open(row.secret, context(row.name)).decode())
    try:
        options = SchemeOptions.model_validate(row.options)
        return authenticate(Scheme(row.scheme), secret, single_headers(headers), body, now, options).replay_id
    except NotAuthentic as refusal:
        await _refused(rt, row.name, refusal.reason, body, now)
        raise


async def _refused(rt: Runtime, source: str, reason: Reason, body: bytes, now: datetime) -> None:
    told = {"reason": reason.value, "body_sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)}
    async with rt.store.write() as session:
        await trail.record(session, EventKind.ALERT_REFUSED, actor=f"source:{source}", subject=source, data=told, now=now)


async def _commit(rt: Runtime, row: SourceRow, found: Iterable[Alert], body: bytes, replay_id: str | None, now: datetime) -> Accepted:
    sha = hashlib.sha256(body).hexdigest()
    done: list[AcceptedAlert] = []
    run_ids: list[str] = []
    replay = False
    async with rt.store.write() as session:
        if replay_id is not None:
            replay = await alerts.replayed(session, row.name, replay_id, now, 2 * REPLAY_WINDOW)
        for alert in found:
            before = await alerts.known(session, row.name, alert.dedup_key)
            if before is None and replay:
                break
            if before is not None:
                done.append(await _again(session, row, before, now))
                continue
            made, started = await _new(session, row, alert, body, sha, now)
            done.append(made)
            run_ids += started
    if replay and not (done and all(each.duplicate for each in done)):
        # The same id with other content: somebody has a signature and plays with it. (A sender's honest retry is a duplicate.)
        await _refused(rt, row.name, Reason.REPLAYED, body, now)
        raise NotAuthentic(Reason.REPLAYED)
    return Accepted(alerts=tuple(done), run_ids=tuple(run_ids))


async def _again(session: AsyncSession, row: SourceRow, before: AlertRow, now: datetime) -> AcceptedAlert:
    await alerts.seen_again(session, before.id, now)
    told = {"incident_id": before.incident_id}
    await trail.record(session, EventKind.ALERT_DUPLICATE, actor=f"source:{row.name}", subject=before.id, data=told, now=now)
    return AcceptedAlert(alert_id=before.id, incident_id=before.incident_id, duplicate=True)


async def _new(
    session: AsyncSession, row: SourceRow, alert: Alert, body: bytes, sha: str, now: datetime
) -> tuple[AcceptedAlert, list[str]]:
    alert_id = new_id("alert")
    incident_id = await _incident(session, row, alert, alert_id, now)
    seen = view(alert, alert_id=alert_id, incident_id=incident_id, source=row.name, product=row.product, raw_sha256=sha)
    kept = AlertRow(
        id=alert_id,
        source=row.name,
        product=row.product,
        dedup_key=alert.dedup_key,
        incident_id=incident_id,
        title=alert.title,
        severity=int(alert.severity),
        alert_class=alert.alert_class,
        view=await with_assets(session, seen),
        raw=body,
        raw_sha256=sha,
        received_at=now,
        last_seen_at=now,
    )
    await configured.add(session, kept)
    told = {"incident_id": incident_id, "raw_sha256": sha, "class": alert.alert_class, "severity": int(alert.severity)}
    await trail.record(session, EventKind.ALERT_ACCEPTED, actor=f"source:{row.name}", subject=alert_id, data=told, now=now)
    started = [] if alert.resolved else await start_matching(session, kept, now)
    return AcceptedAlert(alert_id=alert_id, incident_id=incident_id, duplicate=False), started


async def _incident(session: AsyncSession, row: SourceRow, alert: Alert, alert_id: str, now: datetime) -> str:
    key = _correlation(row, alert, alert_id)
    found = await alerts.open_incident(session, key, now - timedelta(seconds=row.correlate_within))
    if found is not None:
        found.alerts, found.last_alert_at, found.severity = found.alerts + 1, now, max(found.severity, int(alert.severity))
        return found.id
    made = IncidentRow(
        id=new_id("inc"), correlation_key=key, title=alert.title, severity=int(alert.severity), opened_at=now, last_alert_at=now
    )
    await configured.add(session, made)
    return made.id


def _correlation(row: SourceRow, alert: Alert, alert_id: str) -> str:
    """Alerts without the field that joins them stand alone."""
    host, user, remote = alert.host, alert.user, alert.remote
    value = {
        "host": host and (host.id or host.name or host.address),
        "user": user and (user.name or user.email),
        "remote": remote and (remote.address or remote.domain),
        "rule": alert.rule,
    }.get(row.correlate_by)
    return digest([row.correlate_by, value.lower()]) if value else digest(["alone", alert_id])
