"""The transaction that deduplicates, correlates, matches and commits a group of pieces."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit import trail
from orchestrator.domain.audit_event import Event, EventKind
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.run import Mode, RunStatus
from orchestrator.intake.answers import AcceptedAlert, Cover
from orchestrator.intake.arrival.bodies import Piece
from orchestrator.intake.arrival.foreseen import Foreseen, ForeseenPiece, Overtaken, foresee
from orchestrator.intake.arrival.known import KEEP_MESSAGES, Known
from orchestrator.intake.authenticate import NotAuthentic, Reason
from orchestrator.intake.correlate import correlation_key
from orchestrator.intake.keep_rejected import keep_items
from orchestrator.intake.matching import start_runs
from orchestrator.intake.matching.set_aside import set_aside
from orchestrator.runtime import Runtime
from orchestrator.store.dialect import Lock, lock
from orchestrator.store.intake_rows import add_alerts, count_deliveries, values_of
from orchestrator.store.statements import intake as statements
from orchestrator.store.statements.driver import Driver, driver_of
from orchestrator.store.tables import AlertRow

Answers = dict[str, AcceptedAlert]
"""What a sender learns about the alerts of a piece, by dedup key."""
Outcome = Answers | NotAuthentic

_ATTEMPTS = 5


async def commit_pieces(rt: Runtime, pieces: Sequence[Piece]) -> list[Outcome]:
    """Commit a group in one transaction.

    Return the outcome of each piece: NotAuthentic for a replayed message. Raise Unavailable where
    other processes come first again and again; then nothing is stored.
    """
    for _ in range(_ATTEMPTS):
        group = _Group(rt, await foresee(rt, pieces))
        try:
            async with rt.store.write() as session:
                await group.commit(session)
        except Overtaken:
            continue
        return group.outcomes()
    raise Unavailable("alerts of the same incidents arrive at the same time; send them again")


class _Group:
    """The rows, events and answers that result from a group of pieces."""

    def __init__(self, rt: Runtime, foreseen: Foreseen) -> None:
        self._rt, self._foreseen = rt, foreseen
        self._pieces = [each for each in foreseen.pieces if not each.is_replayed]
        self._events: list[Event] = []
        self._run_ids: dict[str, list[str]] = defaultdict(list)
        self._deferred: dict[str, list[str]] = defaultdict(list)
        self._covers: dict[str, list[Cover]] = defaultdict(list)

    async def commit(self, session: AsyncSession) -> None:
        """Persist the alerts with all that they start. Raise Overtaken."""
        pieces = [each.piece for each in self._foreseen.pieces]
        await lock(session, Lock.ALERT, [name for piece in pieces for name in _lock_names(piece)])
        driver = await driver_of(session)
        if await Known.load(driver, pieces) != self._foreseen.known:
            raise Overtaken
        await self._remember_messages(driver)
        await self._add_alerts(driver)
        await self._start_runs(session, driver)
        await trail.record_all(session, self._events)
        for each in self._pieces:
            await set_aside(session, each.triggers.exceeded, each.piece.body.now)
        await self._count(session, driver)

    async def _remember_messages(self, driver: Driver) -> None:
        signed = [
            each.piece.body
            for each in self._pieces
            if each.piece.is_last and each.piece.body.message is not None
        ]
        for body in signed:
            await statements.FORGET_MESSAGES.run(driver, {"before": body.now - KEEP_MESSAGES})
            added = await statements.REMEMBER_MESSAGE.rows(
                driver,
                {
                    "source": body.source.name,
                    "message_id": body.verified.replay_id,
                    "sent": body.verified.sent,
                    "body_sha256": body.sha256,
                    "seen_at": body.now,
                },
            )
            if not added:
                raise Overtaken

    async def _add_alerts(self, driver: Driver) -> None:
        incidents = self._foreseen.incidents
        rows: list[AlertRow] = []
        again: Counter[str] = Counter()
        seen_at: dict[str, datetime] = {}
        for each in self._pieces:
            body = each.piece.body
            if each.new and not body.is_kept:
                each.new[0][0].raw = body.body  # once per body, which may hold thousands of alerts
            rows += [row for row, _ in each.new]
            for alert_id, incident_id in each.known.values():
                again[alert_id] += 1
                seen_at[alert_id] = body.now
                self._note(each, EventKind.ALERT_DUPLICATE, alert_id, incident_id)
            for row, alert in each.new:
                errors = each.triggers.by_alert.get(row.id, ([], {}))[1]
                more = {"class": row.alert_class, "severity": row.severity}
                more |= {"triggers_failed": errors} if errors else {}
                more |= {"incomplete": list(map(str, alert.incomplete))} if alert.incomplete else {}
                self._note(each, EventKind.ALERT_ACCEPTED, row.id, row.incident_id, more)
        await statements.INSERT_INCIDENT.run_all(driver, map(values_of, incidents.opened))
        await statements.JOIN_INCIDENT.run_all(driver, incidents.joined_values())
        await add_alerts(driver, rows)
        await statements.SEEN_AGAIN.run_all(
            driver,
            [
                {"alert": id_, "times": times, "at": seen_at[id_]}
                for id_, times in sorted(again.items())
            ],
        )

    async def _start_runs(self, session: AsyncSession, driver: Driver) -> None:
        matches = [
            match
            for each in self._pieces
            for row, _ in each.new
            for match in each.triggers.by_alert.get(row.id, ([], {}))[0]
        ]
        if not matches:
            return
        started = await start_runs.start(
            session,
            driver,
            matches,
            max(each.piece.body.now for each in self._pieces),
            dry_sources={
                each.piece.source.name
                for each in self._pieces
                if each.piece.source.mode != Mode.LIVE
            },
            most_open=self._rt.settings.source_open_runs,
        )
        await statements.INSERT_RUN.run_all(driver, map(values_of, started.runs))
        self._events += started.events
        for run in started.runs:
            begins = run.status is not RunStatus.DEFERRED
            (self._run_ids if begins else self._deferred)[run.alert_id or ""].append(run.id)
        for covered in started.covered:
            cover = Cover(
                playbook=covered.match.candidate.plan.playbook,
                run_id=covered.run_id,
                key=covered.match.key,
                expires_at=covered.until,
            )
            self._covers[covered.match.alert.id].append(cover)

    async def _count(self, session: AsyncSession, driver: Driver) -> None:
        """Count the deliveries that are complete, and keep those with items that were not read."""
        counted = []
        for each in self._pieces:
            body = each.piece.body
            if not each.piece.is_last or body.delivery is None:
                continue
            is_new = bool(each.new) or body.is_kept
            outcomes = {"accepted" if is_new else "duplicates"}
            if body.rejected:
                await keep_items(
                    session, self._rt, body.source, body.delivery, body.rejected, body.now
                )
                outcomes |= {"unreadable", "partial"}
            counted.append((body.source.name, outcomes, body.now))
        await count_deliveries(driver, counted)

    def outcomes(self) -> list[Outcome]:
        """Return what the senders learn, after the commit."""
        found: list[Outcome] = []
        for each in self._foreseen.pieces:
            if each.is_replayed:
                found.append(NotAuthentic(Reason.REPLAYED))
                continue
            body = each.piece.body
            body.budget = each.triggers.budget
            body.is_kept = body.is_kept or bool(each.new)
            found.append(self._answers(each))
        return found

    def _answers(self, each: ForeseenPiece) -> Answers:
        answers = {
            row.dedup_key: AcceptedAlert(
                alert_id=row.id,
                incident_id=row.incident_id,
                duplicate=False,
                matched=tuple(
                    start_runs.live_names(each.triggers.by_alert.get(row.id, ([], {}))[0])
                ),
                run_ids=tuple(self._run_ids.get(row.id, ())),
                deferred_run_ids=tuple(self._deferred.get(row.id, ())),
                covered_by=tuple(self._covers.get(row.id, ())),
                incomplete=alert.incomplete,
            )
            for row, alert in each.new
        }
        return answers | {
            key: AcceptedAlert(alert_id=alert_id, incident_id=incident_id, duplicate=True)
            for key, (alert_id, incident_id) in each.known.items()
        }

    def _note(
        self,
        each: ForeseenPiece,
        kind: EventKind,
        alert_id: str,
        incident_id: str,
        more: dict[str, Any] | None = None,
    ) -> None:
        body = each.piece.body
        data = {"incident_id": incident_id, "raw_sha256": body.sha256, **(more or {})}
        actor = f"source:{body.source.name}"
        self._events.append(
            trail.event(kind, actor=actor, subject=alert_id, data=data, now=body.now)
        )


def _lock_names(piece: Piece) -> list[str]:
    """Return the names to lock: of the alerts of a piece, their incidents and its message."""
    source = piece.source
    own = [f"alert {source.name} {alert.dedup_key}" for alert in piece.alerts]
    shared = [
        f"incident {key}" for alert in piece.alerts if (key := correlation_key(source, alert))
    ]
    message = piece.body.message
    return [*own, *shared, *([f"message {' '.join(message)}"] if message else [])]
