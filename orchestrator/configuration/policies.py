"""Policies: publish a new version, and say which is in force."""

from __future__ import annotations

from datetime import datetime

from orchestrator.audit import trail
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.digest import digest
from orchestrator.domain.errors import NotFound
from orchestrator.domain.model import Frozen
from orchestrator.policy.document import parse_policy
from orchestrator.runtime import Runtime
from orchestrator.store import configured, facts
from orchestrator.store.dialect import Lock, lock
from orchestrator.store.tables import PolicyRow


class PolicyView(Frozen):
    """A published policy."""

    version: int
    digest: str
    source: str
    published_at: datetime
    published_by: str


async def publish_policy(rt: Runtime, text: str, *, actor: str) -> PolicyView:
    """Makes it the policy in force; what is in force already stays as it is. Raises Invalid with line and column."""
    document = parse_policy(text).model_dump(mode="json")
    now = rt.clock()
    async with rt.store.write() as session:
        await lock(session, Lock.CONFIGURATION, ["policy"])
        newest = await facts.newest_policy(session)
        if newest is not None and newest.source == text:
            return _view(newest)
        row = PolicyRow(
            version=await configured.newest_policy_version(session) + 1,
            digest=digest(document),
            document=document,
            source=text,
            published_at=now,
            published_by=actor,
        )
        await configured.add(session, row)
        told = {"version": row.version, "digest": row.digest}
        await trail.record(session, EventKind.POLICY_PUBLISHED, actor=actor, subject=f"policy:{row.version}", data=told, now=now)
    return _view(row)


async def current_policy(rt: Runtime) -> PolicyView:
    """The policy in force. Raises NotFound before the first start."""
    async with rt.store.read() as session:
        row = await facts.newest_policy(session)
    if row is None:
        raise NotFound("no policy is published; run `tocsin policy publish FILE`")
    return _view(row)


def _view(row: PolicyRow) -> PolicyView:
    return PolicyView(**row.model_dump(exclude={"document"}))
