"""The playbooks of the sequences, compiled: one per variant and system."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from orchestrator.domain.change import Effect
from orchestrator.playbook.plan import (
    AnyStep,
    Approve,
    InputField,
    Parallel,
    Plan,
    Retry,
    Use,
    Wait,
)

HOUR = 3600


@dataclass(frozen=True)
class Variant:
    """How a playbook contains."""

    name: str
    hold: int | None = None  # seconds; None: without end
    asks: bool = False
    fails: bool = False  # its second step is refused, and everything is rolled back
    lasts: bool = False  # the run stays open after it has contained
    two: bool = False  # two targets at once, under one approval
    once: bool = False  # without retries
    patient: bool = False  # with retries for days
    timeout: int | None = None  # seconds, of the step
    restores: bool = False  # it lifts the containment of all runs

    @property
    def length(self) -> timedelta | None:
        return None if self.hold is None else timedelta(seconds=self.hold)


VARIANTS = (
    Variant("keep"),
    Variant("short", hold=2 * HOUR),
    Variant("long", hold=6 * HOUR),
    Variant("ask", hold=4 * HOUR, asks=True),
    Variant("fail", hold=4 * HOUR, fails=True),
    Variant("wait", hold=12 * HOUR, lasts=True),
    Variant("once", hold=3 * HOUR, once=True, timeout=8 * HOUR),
)
SHARING = tuple(way for way in VARIANTS if way.name in {"short", "wait", "once"})
"""The variants of two runs that contain the same target at the same moment."""
(LASTING,) = (way for way in VARIANTS if way.lasts)
PATIENT = Variant("patient", hold=6 * HOUR, timeout=48 * HOUR, patient=True)
"""It plans again and again, from the first try on by the server."""
RESTORE = Variant("restore", restores=True)
BOTH = Variant("both", hold=5 * HOUR, asks=True, two=True)
_ACTIONS = {
    "firewall": ("firewall", "block_address", "address"),
    "edr": ("edr", "isolate_host", "host"),
    "edge": ("firewall", "block_network", "network"),
}
_RESTORES = {"firewall": "unblock_address", "edr": "release_host", "edge": "unblock_network"}
_APPROVE = Approve(question="Contain it?", within=30 * 24 * HOUR)
_NO_ADDRESS = {"address": "no address at all"}


def all_plans() -> list[Plan]:
    return [
        *(_plan(system, way) for system in _ACTIONS for way in (*VARIANTS, PATIENT, RESTORE)),
        *(_plan(system, BOTH) for system in ("firewall", "edge")),
    ]


def _plan(system: str, way: Variant) -> Plan:
    retry = Retry(attempts=1) if way.once else Retry(attempts=100) if way.patient else None
    first = _use(
        system,
        "block",
        "${{ inputs.target }}",
        way,
        retry=retry,
        approve=_APPROVE if way.asks and not way.two else None,
    )
    steps: list[AnyStep] = [first]
    if way.two:
        steps = [
            Parallel(
                id="group",
                steps=(first, _use(system, "other", "${{ inputs.other }}", way)),
                approve=_APPROVE,
            )
        ]
    if way.lasts:
        steps.append(Wait(id="wait", seconds=10 * HOUR))
    if way.fails:
        steps.append(_use("firewall", "refused", "", way, inputs=_NO_ADDRESS))
    names = ("target", "other") if way.two else ("target",)
    return Plan(
        playbook=f"{system}-{way.name}",
        version=1,
        title="t",
        owner="o",
        inputs={name: InputField(type="text") for name in names},
        steps=tuple(steps),
        on_failure="roll_back" if way.fails else "stop",
    )


def _use(system: str, id_: str, target: str, way: Variant, **more: Any) -> Use:
    capability, action, field = _ACTIONS[system]
    effect = Effect.CONTAIN
    if way.restores:
        action, effect = _RESTORES[system], Effect.RESTORE
    given: dict[str, Any] = {
        "inputs": {field: target},
        "hold": way.hold,
        "timeout": way.timeout,
    } | more
    return Use(
        id=id_,
        connection=system,
        capability=capability,
        action=action,
        effect=effect,
        **given,
    )
