"""The expected state of a device for one containment, as the drift check compares it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from connectors.sdk.call import ActionCall
from orchestrator.connections.call_context import bound_call, call_key
from orchestrator.contracts.change import ApplyRequest, StepCall
from orchestrator.contracts.run import RunContext, StepRef
from orchestrator.domain.change import Change, Effect
from orchestrator.domain.containment import ContainmentState, EffectState
from orchestrator.store.queries import containments, effects, records, runs, steps
from orchestrator.store.tables import ConnectionRow, ContainmentRow, EffectRow, RunRow


@dataclass(frozen=True, slots=True)
class ExpectedState:
    """A change that a device has to show, and the step that holds it."""

    key: str
    change: Change
    run: RunRow
    path: str
    output: dict[str, Any]
    # None: its own step did not make it, so that Tocsin does not apply it again.
    effect: EffectRow | None
    owner: str | None = None  # the effect that its row names

    @property
    def call(self) -> ActionCall:
        """The call of the step that made the change, so that the device recognizes it."""
        key = call_key(self.run.id, self.path, self.change.action)
        reason = (
            f"Tocsin {self.run.playbook} v{self.run.version}, run {self.run.id}, step {self.path}"
        )
        return bound_call(self.run.id, self.path, key, reason)

    def request(self, effect: EffectRow, run: RunContext) -> ApplyRequest:
        """Return the request that applies the change again."""
        change = self.change
        call = StepCall(
            ref=StepRef(run=run, path=self.path, seq=effect.seq),
            connection=change.connection,
            capability="",
            action=change.action,
            effect=change.effect,
            input=change.input,
        )
        return ApplyRequest(call=call, change=change, approval_id=effect.approval_id)


async def load_expected_state(session: AsyncSession, key: str) -> ExpectedState | None:
    """Return what a device has to show for a containment.

    None where nothing is held, or where a step makes the change now and verifies it itself.
    """
    row = await containments.get(session, key)
    live = await containments.live_leases(session, key)
    if row is None or row.state != ContainmentState.HELD or not live or not row.was_in_force:
        return None
    effect = await effects.get(session, row.effect_id) if row.ours and row.effect_id else None
    if row.ours and (effect is None or effect.state == EffectState.INTENDED):
        return None
    if effect is not None and effect.containment_key != key:
        effect = None  # another containment's, which covers this one too
    run = await runs.get(session, effect.run_id if effect else live[0].run_id)
    if run is None:
        return None
    if effect is not None:
        change = Change.model_validate(effect.change)
        output = effect.output or {}
        return ExpectedState(key, change, run, effect.path, output, effect, effect.id)
    step = await steps.get(session, live[0].run_id, live[0].path)
    if step is None or step.planned_change is None or step.inputs is None:
        return None
    found = await _planned_change(session, row, step.inputs, step.planned_change)
    if found is None:
        return None
    owner = row.effect_id if row.ours else None
    return ExpectedState(key, found, run, live[0].path, {}, None, owner)


async def _planned_change(
    session: AsyncSession,
    row: ContainmentRow,
    inputs: dict[str, Any],
    planned_change: dict[str, Any],
) -> Change | None:
    """Return the change that a step planned and found in force already."""
    connection = await records.get(session, ConnectionRow, row.connection)
    if connection is None:
        return None
    return Change(
        connection=row.connection,
        connector=connection.connector,
        action=row.action,
        effect=Effect.CONTAIN,
        input=inputs,
        planned_change=planned_change,
    )


async def lock_if_unchanged(
    session: AsyncSession, expected: ExpectedState, now: datetime
) -> ContainmentRow | None:
    """Lock the containment; None where it changed since, as after a release or in a restore."""
    row = await containments.lock(session, expected.key)
    if row is None or row.state != ContainmentState.HELD or row.is_being_lifted(now):
        return None
    if (row.effect_id if row.ours else None) != expected.owner:
        return None
    return row if await containments.count_live_leases(session, expected.key) else None
