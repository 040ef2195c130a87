"""Published policies: check, publish, compare, and roll back to an earlier one."""

from __future__ import annotations

import difflib
from datetime import datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit import trail
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict, NotFound
from orchestrator.domain.model import Frozen
from orchestrator.policy.document import Policy
from orchestrator.policy.drafts.analysis import ReadPolicy, lint_draft, read_draft
from orchestrator.policy.publish_warnings import empty_groups, lost_protections
from orchestrator.runtime import Runtime
from orchestrator.store.dialect import Lock, lock
from orchestrator.store.precondition import Precondition
from orchestrator.store.queries import policy_inputs, records
from orchestrator.store.queries.access import people
from orchestrator.store.search import configuration
from orchestrator.store.search.filters import PolicyFilter
from orchestrator.store.tables import AssetRow, KeyRow, PolicyRow

EVERY_POLICY = PolicyFilter()
_DRAFT = "draft"


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


class PolicyVersion(Frozen):
    """A published policy, without its text."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "version": 2,
                "digest": "6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
                "created_at": "2026-01-01T12:00:00Z",
                "published_by": "person:ann",
                "in_force": True,
            }
        }
    )

    version: int
    digest: str
    created_at: datetime
    published_by: str
    in_force: Annotated[bool, Field(description="Whether it is the one that evaluates changes.")]


class PolicyDifference(Frozen):
    """What a policy does differently from another."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "a": "1",
                "b": "2",
                "same": False,
                "lost": ["protect.networks: 10.0.0.0/24 is no longer protected"],
                "diff": "--- policy version 1\n+++ policy version 2\n@@ -1,2 +1,1 @@\n...",
            }
        }
    )

    a: Annotated[str, Field(description="The version; `draft` for a text.")]
    b: str
    same: Annotated[bool, Field(description="Whether both mean the same.")]
    lost: Annotated[
        tuple[str, ...],
        Field(description="What `a` protects, denies or asks for, and `b` does not."),
    ]
    diff: Annotated[str, Field(description="Of the texts, in the unified form.")]


async def check_policy(rt: Runtime, text: str, file: str = "policy.yaml") -> PolicyCheck:
    """Return warnings, given the tags of the inventory. Raise Invalid with line and column."""
    read = await _read(rt, text, file)
    async with rt.store.read() as session:
        newest = await policy_inputs.get_newest_policy(session)
        return PolicyCheck(warnings=await _warnings(session, read, newest, rt.clock()))


async def publish_policy(
    rt: Runtime,
    text: str,
    *,
    actor: str,
    replaces: Precondition | None = None,
    again: int | None = None,
) -> PolicyView:
    """Put a policy in force. Raise Invalid with line and column, PreconditionFailed.

    `replaces`: the policy that its author has seen; a person must name it, the system need not.
    `again`: the earlier version of which it is the text. Raise Conflict if that is in force.

    The text that is in force already keeps its version. Warnings do not prevent publication.
    """
    read = await _read(rt, text, "policy.yaml")
    policy, now = read.policy, rt.clock()
    async with rt.store.write() as session:
        await lock(session, Lock.CONFIGURATION, ["policy"])
        newest = await policy_inputs.get_newest_policy(session)
        warnings = await _warnings(session, read, newest, now)
        if replaces is not None:
            replaces.require("the policy", _view(newest) if newest else None)
        if newest is not None and newest.source == text:
            if again is not None:
                raise Conflict(f"the policy in force, version {newest.version}, has this text")
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
        details: dict[str, Any] = {"version": row.version, "digest": row.digest}
        details |= {} if again is None else {"rolled_back_to": again}
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
        return _view(await _load(session, None))


async def list_versions(
    rt: Runtime, wanted: PolicyFilter = EVERY_POLICY
) -> tuple[PolicyVersion, ...]:
    """Return the policies that were published, the newest first."""
    async with rt.store.read() as session:
        newest = await policy_inputs.get_newest_policy(session)
        rows = await configuration.list_policies(session, wanted)
    return tuple(
        PolicyVersion(
            version=row.version,
            digest=row.digest,
            created_at=row.published_at,
            published_by=row.published_by,
            in_force=newest is not None and row.version == newest.version,
        )
        for row in rows
    )


async def get_version(rt: Runtime, version: int) -> PolicyView:
    """Return a policy as it was published. Raise NotFound."""
    async with rt.store.read() as session:
        return _view(await _load(session, version))


async def compare(rt: Runtime, a: int | str | None, b: int | str | None) -> PolicyDifference:
    """Return what `b` does differently from `a`.

    Each is a version, the text of a draft, or None for the policy in force. Raise NotFound,
    Invalid with line and column.
    """
    (name_a, text_a, before), (name_b, text_b, after) = await _side(rt, a), await _side(rt, b)
    lines = difflib.unified_diff(
        text_a.splitlines(), text_b.splitlines(), _title(name_a), _title(name_b), lineterm=""
    )
    return PolicyDifference(
        a=name_a,
        b=name_b,
        same=before.digest == after.digest,
        lost=tuple(lost_protections(before, after)),
        diff="".join(f"{line}\n" for line in lines),
    )


async def roll_back(rt: Runtime, to: int, *, actor: str, replaces: Precondition) -> PolicyView:
    """Publish the text of an earlier version as a new one.

    Raise NotFound, Conflict (it is in force), PreconditionFailed, and Invalid where the text is no
    valid policy any more.
    """
    text = (await get_version(rt, to)).source
    return await publish_policy(rt, text, actor=actor, replaces=replaces, again=to)


async def _read(rt: Runtime, text: str, file: str) -> ReadPolicy:
    async with rt.store.read() as session:
        tags = await _tags(session)
    return await lint_draft(rt, text, file, tags)


async def _warnings(
    session: AsyncSession, read: ReadPolicy, newest: PolicyRow | None, now: datetime
) -> tuple[str, ...]:
    """Return likely mistakes, protections that go away, and groups without people."""
    before = Policy.model_validate(newest.document) if newest else Policy()
    keys = await records.list_all(session, KeyRow)
    return (
        *read.warnings,
        *lost_protections(before, read.policy),
        *empty_groups(read.policy, await people.load_people(session), keys, now),
    )


async def _tags(session: AsyncSession) -> set[str]:
    return {tag for row in await records.list_all(session, AssetRow) for tag in row.tags}


def _view(row: PolicyRow, warnings: tuple[str, ...] = ()) -> PolicyView:
    return PolicyView(
        **row.model_dump(exclude={"document", "published_at"}),
        created_at=row.published_at,
        warnings=warnings,
    )


async def _side(rt: Runtime, side: int | str | None) -> tuple[str, str, Policy]:
    """Return the name of a side, its text, and the policy."""
    if isinstance(side, str):
        return _DRAFT, side, await read_draft(rt, side)
    async with rt.store.read() as session:
        row = await _load(session, side)
    return str(row.version), row.source, Policy.model_validate(row.document)


async def _load(session: AsyncSession, version: int | None) -> PolicyRow:
    """Return a version, or the policy in force. Raise NotFound."""
    if version is None:
        row = await policy_inputs.get_newest_policy(session)
        missing = "no policy is published; run `tocsin policy publish FILE`"
    else:
        row = await records.get(session, PolicyRow, version)
        missing = f"policy version {version} does not exist; see `tocsin policy history`"
    if row is None:
        raise NotFound(missing)
    return row


def _title(name: str) -> str:
    return name if name == _DRAFT else f"policy version {name}"
