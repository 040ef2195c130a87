"""Policies: publish a new version, and say which is in force."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit import trail
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import NotFound
from orchestrator.domain.model import Frozen
from orchestrator.policy.document import parse_policy
from orchestrator.policy.lint import warnings
from orchestrator.runtime import Runtime
from orchestrator.store.dialect import Lock, lock
from orchestrator.store.queries import policy_inputs, records
from orchestrator.store.tables import AssetRow, PolicyRow


class PolicyView(Frozen):
    """A published policy."""

    version: int
    digest: str
    source: str
    published_at: datetime
    published_by: str
    warnings: tuple[str, ...] = ()


async def check_policy(rt: Runtime, text: str, file: str = "policy.yaml") -> tuple[str, ...]:
    """What is most likely a mistake in it, given the tags of the inventory. Raises Invalid with line and column for what is wrong."""
    policy = parse_policy(text, file)
    async with rt.store.read() as session:
        return warnings(policy, await _tags(session), file)


async def publish_policy(rt: Runtime, text: str, *, actor: str) -> PolicyView:
    """Makes it the policy in force; what is in force already stays as it is. Raises Invalid with line and column.

    What is most likely a mistake is told, and published all the same.
    """
    policy = parse_policy(text)
    now = rt.clock()
    async with rt.store.write() as session:
        await lock(session, Lock.CONFIGURATION, ["policy"])
        told_too = warnings(policy, await _tags(session))
        newest = await policy_inputs.newest_policy(session)
        if newest is not None and newest.source == text:
            return _view(newest, told_too)
        row = PolicyRow(
            version=await records.newest_policy_version(session) + 1,
            digest=policy.digest,
            document=policy.model_dump(mode="json"),
            source=text,
            published_at=now,
            published_by=actor,
        )
        await records.add(session, row)
        told = {"version": row.version, "digest": row.digest}
        await trail.record(
            session,
            EventKind.POLICY_PUBLISHED,
            actor=actor,
            subject=f"policy:{row.version}",
            data=told,
            now=now,
        )
    return _view(row, told_too)


async def current_policy(rt: Runtime) -> PolicyView:
    """The policy in force. Raises NotFound before the first start."""
    async with rt.store.read() as session:
        row = await policy_inputs.newest_policy(session)
    if row is None:
        raise NotFound("no policy is published; run `tocsin policy publish FILE`")
    return _view(row)


async def _tags(session: AsyncSession) -> set[str]:
    return {tag for row in await records.every(session, AssetRow) for tag in row.tags}


def _view(row: PolicyRow, told_too: tuple[str, ...] = ()) -> PolicyView:
    return PolicyView(**row.model_dump(exclude={"document"}), warnings=told_too)
