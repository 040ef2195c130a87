"""What is to be in force on a device, and whose is it? As the store has it, for whoever looks whether it still is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from connectors.sdk.call import Call
from orchestrator.connections.call_context import bound_call, call_key
from orchestrator.contracts.messages import ActionCall, ApplyRequest, RunContext, StepRef
from orchestrator.domain.change import Change, Effect
from orchestrator.store.queries import containments, effects, records, runs, steps
from orchestrator.store.tables import ConnectionRow, ContainmentRow, EffectRow, RunRow


@dataclass(frozen=True, slots=True)
class Held:
    """What is to be looked for. `effect`: None where it was in force before us, and is left alone."""

    key: str
    change: Change
    run: RunRow
    path: str
    output: dict[str, Any]
    effect: EffectRow | None

    @property
    def call(self) -> Call:
        """The call of the step that made it, so that it is the same on the device."""
        key = call_key(self.run.id, self.path, self.change.action)
        reason = (
            f"Tocsin {self.run.playbook} v{self.run.version}, run {self.run.id}, step {self.path}"
        )
        return bound_call(self.run.id, self.path, key, reason)

    def request(self, effect: EffectRow, run: RunContext) -> ApplyRequest:
        """What would be asked for to make it again."""
        change = self.change
        call = ActionCall(
            ref=StepRef(run=run, path=self.path, seq=effect.seq),
            connection=change.connection,
            capability="",
            action=change.action,
            effect=change.effect,
            input=change.input,
        )
        return ApplyRequest(call=call, change=change, approval_id=effect.approval_id)


async def find_held(session: AsyncSession, key: str) -> Held | None:
    """What is held under this key; None where nothing is, or where it is just being made and is looked at by who makes it."""
    row = await containments.get(session, key)
    live = await containments.live(session, key)
    if row is None or row.state != "held" or not live:
        return None
    effect = await effects.get(session, row.effect_id) if row.ours and row.effect_id else None
    if row.ours and (effect is None or effect.state == "intended"):
        return None
    run = await runs.get(session, effect.run_id if effect else live[0].run_id)
    if run is None:
        return None
    if effect is not None:
        return Held(
            key, Change.model_validate(effect.change), run, effect.path, effect.output or {}, effect
        )
    step = await steps.get(session, live[0].run_id, live[0].path)
    if step is None or step.planned_change is None or step.inputs is None:
        return None
    change = await _was_there(session, row, step.inputs, step.planned_change)
    return Held(key, change, run, live[0].path, {}, None) if change else None


async def _was_there(
    session: AsyncSession, row: ContainmentRow, wish: dict[str, Any], planned_change: dict[str, Any]
) -> Change | None:
    """What a step found in force already, as it was planned."""
    connection = await records.one(session, ConnectionRow, row.connection)
    if connection is None:
        return None
    given = {
        "connection": row.connection,
        "connector": connection.connector,
        "action": row.action,
        "effect": Effect.CONTAIN,
    }
    return Change(**given, input=wish, planned_change=planned_change)


async def still_held(session: AsyncSession, looked_at: Held) -> ContainmentRow | None:
    """The containment, locked, if it is still what was looked at, and held: a release that came in between has won."""
    row = await containments.lock(session, looked_at.key)
    made_by = looked_at.effect.id if looked_at.effect else None
    same = (
        row is not None and row.state == "held" and (row.effect_id if row.ours else None) == made_by
    )
    return row if same and await containments.live_count(session, looked_at.key) else None
