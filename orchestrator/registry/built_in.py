"""Built-in playbooks: the plan by which a person contains one target by hand."""

from __future__ import annotations

from pydantic import ValidationError

from orchestrator.domain.change import Effect
from orchestrator.domain.run import BUILT_IN, CONTAIN_BY_HAND
from orchestrator.playbook.plan import InputField, Plan, Use
from orchestrator.store.tables import PlaybookRow


def contain_plan(
    version: int,
    *,
    connection: str,
    capability: str,
    action: str,
    field: str,
    type_: str,
    ends: bool,
) -> Plan:
    """Return the plan of one action on one target, which is an input of the run.

    `field`: the action's input that holds the target. `ends`: whether the lease has an end.
    """
    step = Use(
        id="contain",
        connection=connection,
        capability=capability,
        action=action,
        effect=Effect.CONTAIN,
        inputs={field: "${{ inputs.target }}"},
        hold="${{ inputs.length }}" if ends else None,
    )
    fields = {"target": type_, "reason": "text", **({"length": "text"} if ends else {})}
    return Plan(
        playbook=CONTAIN_BY_HAND,
        version=version,
        title=f"Contain a target by hand: {connection}.{action}",
        owner="tocsin",
        inputs={name: InputField.model_validate({"type": kind}) for name, kind in fields.items()},
        steps=(step,),
        on_failure="roll_back",
    )


def is_built_in(row: PlaybookRow) -> bool:
    """Return whether a version is exactly what this program makes, so that no one signs it."""
    if row.stage != BUILT_IN or row.name != CONTAIN_BY_HAND:
        return False
    try:
        plan = Plan.model_validate(row.plan)
    except ValidationError:
        return False
    step = plan.steps[0] if plan.steps else None
    if not isinstance(step, Use) or len(step.inputs) != 1 or "target" not in plan.inputs:
        return False
    made = contain_plan(
        row.version,
        connection=step.connection,
        capability=step.capability,
        action=step.action,
        field=next(iter(step.inputs)),
        type_=plan.inputs["target"].type,
        ends=step.hold is not None,
    )
    return made.digest == row.digest
