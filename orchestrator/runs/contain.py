"""Containment by hand: a run of a built-in plan, which passes the pipeline of every change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client

from connectors.registry import connector as connector_named
from connectors.sdk.capability import ActionSpec
from orchestrator.audit import trail
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.change import Effect
from orchestrator.domain.digest import new_id
from orchestrator.domain.errors import Conflict, Invalid, NotFound
from orchestrator.domain.observable import ObservableType, Target
from orchestrator.domain.run import BUILT_IN, CONTAIN_BY_HAND, Mode
from orchestrator.playbook.compile.inputs import accept_inputs
from orchestrator.playbook.language.durations import parse_duration
from orchestrator.playbook.plan import Plan
from orchestrator.registry.built_in import contain_plan
from orchestrator.runs.dispatch import dispatch
from orchestrator.runs.queries import get_run
from orchestrator.runs.views import RunDetails
from orchestrator.runtime import Runtime
from orchestrator.store.dialect import Lock, lock
from orchestrator.store.queries import records, runs
from orchestrator.store.tables import ConnectionRow, PlaybookRow, RunRow


class _Choice(NamedTuple):
    """An action of a connection that contains targets of one type."""

    connection: str
    capability: str
    action: str
    field: str  # the input that holds the target

    def __str__(self) -> str:
        return f"{self.connection}.{self.action}"


async def contain_target(
    rt: Runtime,
    client: Client | None,
    target: Target,
    *,
    length: str | None,
    reason: str,
    connection: str | None = None,
    action: str | None = None,
    mode: Mode = Mode.LIVE,
    actor: str,
) -> RunDetails:
    """Start a run that contains a target. `length`: of the lease, such as `4h`; None: no end.

    Raise Invalid (target, length, reason), NotFound (nothing contains this type), Conflict
    (several actions do).
    """
    value = _canonical(target)
    if not reason.strip():
        raise Invalid("reason: say why, for the approver and for the audit trail")
    if length is not None:
        _check_length(length)
    given = {"target": value, "reason": reason.strip(), **({"length": length} if length else {})}
    now = rt.clock()
    async with rt.store.write() as session:
        rows = await records.list_all(session, ConnectionRow)
        choice = _choose(rows, target.type, connection, action)
        version = await _version(rt, session, choice, target.type, ends=length is not None)
        plan = Plan.model_validate(version.plan)
        run = RunRow.begin(
            id=new_id("run"),
            playbook=version.name,
            version=version.version,
            plan_digest=version.digest,
            alert=None,
            mode=mode,
            inputs=accept_inputs(plan.inputs, given),
            started_by=actor,
            now=now,
        )
        await runs.add(session, run)
        data = {
            "playbook": run.playbook,
            "version": run.version,
            "playbook_digest": run.plan_digest,
            "mode": mode,
            "inputs": run.inputs,
            "alert": None,
        }
        await trail.record(
            session, EventKind.RUN_CREATED, actor=actor, subject=run.id, data=data, now=now
        )
    if client is not None:
        await dispatch(rt, client, [run.id])
    return await get_run(rt, run.id)


def _canonical(target: Target) -> str:
    try:
        return Target.of(target.type, target.value).value
    except ValueError as error:
        raise Invalid(f"target: {error}") from error


def _check_length(length: str) -> None:
    try:
        parse_duration(length)
    except Invalid as error:
        raise Invalid(f"for: {error}") from error


def _choose(
    rows: Iterable[ConnectionRow], type_: ObservableType, connection: str | None, action: str | None
) -> _Choice:
    """Return the one action that contains this type of target. Raise NotFound, Conflict."""
    known = [choice for row in rows for choice in _choices(row, type_)]
    found = [
        choice
        for choice in known
        if connection in {None, choice.connection} and action in {None, choice.action}
    ]
    named = ", ".join(str(choice) for choice in known)
    if not found:
        hint = f"these do: {named}" if named else "add a connection that does"
        where = f" on connection {connection}" if connection else ""
        raise NotFound(f"no action{where} contains a target of type {type_}; {hint}")
    if len(found) > 1:
        names = ", ".join(str(choice) for choice in found)
        raise Conflict(f"several actions contain a target of type {type_}: {names}; choose one")
    return found[0]


def _choices(row: ConnectionRow, type_: ObservableType) -> Iterator[_Choice]:
    for bound in connector_named(row.connector).bound.values():
        if bound.spec.effect is Effect.CONTAIN and (field := _target_field(bound.spec, type_)):
            yield _Choice(row.name, bound.capability, bound.spec.name, field)


def _target_field(spec: ActionSpec, type_: ObservableType) -> str | None:
    """Return the one input of an action, if it is a target of this type."""
    fields: dict[str, Any] = spec.input.model_json_schema().get("properties", {})
    if len(fields) != 1:
        return None
    ((name, schema),) = fields.items()
    return name if schema.get("x-observable") == type_ else None


async def _version(
    rt: Runtime, session: AsyncSession, choice: _Choice, type_: ObservableType, *, ends: bool
) -> PlaybookRow:
    """Return the version with the plan of this action, published where there is none yet."""
    await lock(session, Lock.CONFIGURATION, [f"playbook {CONTAIN_BY_HAND}"])
    known = {row.version: row for row in await records.versions(session, CONTAIN_BY_HAND)}
    number = 1
    while True:
        plan = contain_plan(number, **choice._asdict(), type_=type_.value, ends=ends)
        row = known.get(number)
        if row is None:
            break
        if row.digest == plan.digest and row.stage == BUILT_IN:
            return row
        number += 1
    now = rt.clock()
    row = PlaybookRow(
        name=plan.playbook,
        version=plan.version,
        digest=plan.digest,
        title=plan.title,
        owner=plan.owner,
        plan=plan.model_dump(mode="json"),
        source="",
        published_at=now,
        published_by="system",
        retired=True,  # only `contain` starts it
        stage=BUILT_IN,
    )
    await records.add(session, row)
    data = {"version": plan.version, "digest": plan.digest, "stage": BUILT_IN}
    await trail.record(
        session,
        EventKind.PLAYBOOK_PUBLISHED,
        actor="system",
        subject=plan.playbook,
        data=data,
        now=now,
    )
    return row
