"""Delivery: each sink gets every sealed batch in order, at least once, from where it stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit.anchor import BrokenTrail
from orchestrator.audit.checkpoint import sign_checkpoint
from orchestrator.audit.format import batch_line, event_line
from orchestrator.audit.keys.load import TrailKeys, load_keys
from orchestrator.audit.merkle import merkle_root
from orchestrator.audit.restored import parse_restore
from orchestrator.audit.seal import GENESIS, record_leaf
from orchestrator.audit.sinks.configure import make_sinks
from orchestrator.audit.sinks.position import is_genuine, sign_position
from orchestrator.audit.sinks.sink import SEND_SECONDS, Sink, SinkDelivery, SinkUnavailable
from orchestrator.domain.audit_batch import AuditEntry, Batch
from orchestrator.domain.digest import new_id
from orchestrator.runtime import Runtime
from orchestrator.store.queries import audit, audit_sinks
from orchestrator.store.session import event_authenticator
from orchestrator.store.tables import AuditSinkRow

_BATCHES = 20
"""Batches that one round delivers to one sink."""
_CLAIM = timedelta(seconds=_BATCHES * SEND_SECONDS)
"""How long a worker that died keeps a sink from the others."""

_log = structlog.get_logger(__name__)


class SinkStream:
    """The deliveries of one worker to all sinks. Workers take turns at each sink."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self._sinks = make_sinks(rt.settings, rt.clock)
        self._worker = new_id("wrk")

    async def deliver(self) -> None:
        """Deliver what is due to each sink. What one does not take delays no other."""
        await asyncio.gather(*(self._deliver(sink) for sink in self._sinks))

    async def _deliver(self, sink: Sink) -> None:
        async with self._rt.store.write() as session:
            now = self._rt.clock()
            row = await audit_sinks.claim(
                session, sink.name, self._worker, now, now + _CLAIM, GENESIS
            )
            if row is None:
                return
            if row.mac and not is_genuine(row, event_authenticator(session)):
                _log.error("position of an audit sink altered", sink=sink.name)
                row.batch, row.digest, row.acknowledged_at = 0, GENESIS, None
        error = None
        try:
            for delivery in await self._due(row):
                await sink.send(delivery)
                await self._acknowledge(row, delivery)
        except (SinkUnavailable, BrokenTrail) as refused:
            error = str(refused)
        finally:
            await self._release(row, error)

    async def _due(self, row: AuditSinkRow) -> list[SinkDelivery]:
        async with self._rt.store.read() as session:
            newest = await audit.newest_batch(session)
            if newest is None:
                return []
            if row.batch == newest.number and row.digest == newest.header_digest():
                if self._is_fresh(row):
                    return []
                return [_delivery(await load_keys(self._rt, session), [], newest)]
            return await self._new(session, row, newest)

    async def _new(
        self, session: AsyncSession, row: AuditSinkRow, newest: Batch
    ) -> list[SinkDelivery]:
        keys = await load_keys(self._rt, session)
        entries: list[AuditEntry] = []
        deliveries: list[SinkDelivery] = []
        previous = row.digest
        last = min(newest.number, row.batch + _BATCHES)
        async for item in audit.sealed_rows(session, last, after=row.batch):
            if isinstance(item, AuditEntry):
                entries.append(item)
                continue
            _check(keys, item, entries, previous)
            deliveries.append(_delivery(keys, entries, item))
            previous, entries = item.header_digest(), []
        if not deliveries:
            raise BrokenTrail(
                f"{row.name} has batch {row.batch} of the audit trail, but the trail ends with "
                f"batch {newest.number}: rows were removed or an old copy was restored"
            )
        return deliveries

    def _is_fresh(self, row: AuditSinkRow) -> bool:
        patience = timedelta(seconds=self._rt.settings.audit_sinks_patience)
        at = row.acknowledged_at
        return at is not None and self._rt.clock() - at < patience / 3

    async def _acknowledge(self, row: AuditSinkRow, delivery: SinkDelivery) -> None:
        async with self._rt.store.write() as session:
            row.batch, row.digest = delivery.checkpoint.batch, delivery.checkpoint.digest
            row.acknowledged_at = self._rt.clock()
            sign_position(row, event_authenticator(session))
            await audit_sinks.save(session, row)

    async def _release(self, row: AuditSinkRow, error: str | None) -> None:
        now: datetime = self._rt.clock()
        async with self._rt.store.write() as session:
            if error != row.error:
                _log.log(40 if error else 20, "audit sink", sink=row.name, error=error)
            row.failing_since = (row.failing_since or now) if error else None
            row.error, row.claimed_by, row.claimed_until = error, None, None
            await audit_sinks.save(session, row)


def _check(keys: TrailKeys, batch: Batch, entries: Sequence[AuditEntry], previous: str) -> None:
    """Raise BrokenTrail where a batch is not as it was sealed; a sink gets the truth only."""
    try:
        leaves = [record_leaf(entry.record) for entry in entries]
    except ValueError:
        leaves = []
    if (
        not leaves
        or merkle_root(leaves).hex() != batch.root
        or not batch.signed_by(keys.history.in_charge(batch.number))
        or batch.previous != previous
    ):
        raise BrokenTrail(
            f"batch {batch.number} of the audit trail was altered in the store before a sink "
            "had it; `tocsin audit verify` names what"
        )


def _delivery(keys: TrailKeys, entries: Sequence[AuditEntry], batch: Batch) -> SinkDelivery:
    checkpoint = sign_checkpoint(keys.signer, batch)
    content = [*map(event_line, entries), batch_line(batch)] if entries else []
    restored = any(parse_restore(entry.record) for entry in entries)
    return SinkDelivery(checkpoint, (*content, checkpoint.line()), restored)
