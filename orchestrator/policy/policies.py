"""Published policies: check, publish, and show the one in force."""

from __future__ import annotations

from datetime import datetime

from pydantic import ConfigDict
from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit import trail
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import NotFound
from orchestrator.domain.model import Frozen
from orchestrator.policy.document import Policy, parse_policy
from orchestrator.policy.lint import lint_policy
from orchestrator.policy.publish_warnings import empty_groups, lost_protections
from orchestrator.runtime import Runtime
from orchestrator.store.dialect import Lock, lock
from orchestrator.store.precondition import Precondition
from orchestrator.store.queries import policy_inputs, records
from orchestrator.store.tables import AssetRow, KeyRow, PolicyRow


class PolicyView(Frozen):
    """A published policy."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "version": 2,
                "digest": "6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
                "source": "protect:\n  networks: [10.0.0.0/24]\n",
                "created_at": "2026-01-01T12:00:00Z",
                "published_by": "person:ann",
                "warnings": [],
            }
        }
    )

    version: int
    digest: str
    source: str
    created_at: datetime
    published_by: str
    warnings: tuple[str, ...] = ()


class PolicyCheck(Frozen):
    """The warnings about a policy that is valid."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "warnings": ["policy.yaml:2: unknown tag 'critcal'; did you mean 'critical'?"]
            }
        }
    )

    warnings: tuple[str, ...]


async def check_policy(rt: Runtime, text: str, file: str = "policy.yaml") -> PolicyCheck:
    """Return warnings, given the tags of the inventory. Raise Invalid with line and column."""
    policy = parse_policy(text, file)
    async with rt.store.read() as session:
        newest = await policy_inputs.get_newest_policy(session)
        found = await _warnings(session, policy, newest, rt.clock(), file)
        return PolicyCheck(warnings=found)


async def publish_policy(
    rt: Runtime, text: str, *, actor: str, replaces: Precondition | None = None
) -> PolicyView:
    """Put a policy in force. Raise Invalid with line and column, PreconditionFailed.

    `replaces`: the policy that its author has seen; a person must name it, the system need not.

    The text that is in force already keeps its version. Warnings do not prevent publication.
    """
    policy = parse_policy(text)
    now = rt.clock()
    async with rt.store.write() as session:
        await lock(session, Lock.CONFIGURATION, ["policy"])
        newest = await policy_inputs.get_newest_policy(session)
        warnings = await _warnings(session, policy, newest, now)
        if replaces is not None:
            replaces.require("the policy", _view(newest) if newest else None)
        if newest is not None and newest.source == text:
            return _view(newest, warnings)
        row = PolicyRow(
            version=await records.newest_policy_version(session) + 1,
            digest=policy.digest,
            document=policy.model_dump(mode="json"),
            source=text,
            published_at=now,
            published_by=actor,
        )
        await records.add(session, row)
        details = {"version": row.version, "digest": row.digest}
        await trail.record(
            session,
            EventKind.POLICY_PUBLISHED,
            actor=actor,
            subject=f"policy:{row.version}",
            data=details,
            now=now,
        )
    return _view(row, warnings)


async def current_policy(rt: Runtime) -> PolicyView:
    """Return the policy in force. Raise NotFound if none was published."""
    async with rt.store.read() as session:
        row = await policy_inputs.get_newest_policy(session)
    if row is None:
        raise NotFound("no policy is published; run `tocsin policy publish FILE`")
    return _view(row)


async def _warnings(
    session: AsyncSession,
    policy: Policy,
    newest: PolicyRow | None,
    now: datetime,
    file: str = "policy.yaml",
) -> tuple[str, ...]:
    """Return likely mistakes, protections that go away, and groups without people."""
    before = Policy.model_validate(newest.document) if newest else Policy()
    keys = await records.list_all(session, KeyRow)
    return (
        *lint_policy(policy, await _tags(session), file),
        *lost_protections(before, policy),
        *empty_groups(policy, keys, now),
    )


async def _tags(session: AsyncSession) -> set[str]:
    return {tag for row in await records.list_all(session, AssetRow) for tag in row.tags}


def _view(row: PolicyRow, warnings: tuple[str, ...] = ()) -> PolicyView:
    return PolicyView(
        **row.model_dump(exclude={"document", "published_at"}),
        created_at=row.published_at,
        warnings=warnings,
    )
