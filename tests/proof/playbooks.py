"""Which playbooks do the sequences run? One per way of containing, and per system; written as the compiler would have it."""

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
class Way:
    """How a playbook contains. `hold`: seconds, None without end. `fails`: its second step is refused, and all is taken back."""

    name: str
    hold: int | None = None
    asks: bool = False
    fails: bool = False
    lasts: bool = False  # the run stays open after it has contained
    two: bool = False  # two targets at once, asked about once
    once: bool = False  # the change is tried once

    @property
    def length(self) -> timedelta | None:
        return None if self.hold is None else timedelta(seconds=self.hold)


WAYS = (
    Way("keep"),
    Way("short", hold=2 * HOUR),
    Way("long", hold=6 * HOUR),
    Way("ask", hold=4 * HOUR, asks=True),
    Way("fail", hold=4 * HOUR, fails=True),
    Way("wait", hold=12 * HOUR, lasts=True),
    Way("once", hold=3 * HOUR, once=True),
)
BOTH = Way("both", hold=5 * HOUR, asks=True, two=True)
_ACTIONS = {
    "firewall": ("firewall", "block_address", "address"),
    "edr": ("edr", "isolate_host", "host"),
}
_APPROVE = Approve(question="Contain it?", within=30 * 24 * HOUR)
_NO_ADDRESS = {"address": "no address at all"}


def all_plans() -> list[Plan]:
    return [*(_plan(system, way) for system in _ACTIONS for way in WAYS), _plan("firewall", BOTH)]


def _plan(system: str, way: Way) -> Plan:
    retry = Retry(attempts=1) if way.once else None
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


def _use(system: str, id_: str, target: str, way: Way, **more: Any) -> Use:
    capability, action, field = _ACTIONS[system]
    given: dict[str, Any] = {"inputs": {field: target}, "hold": way.hold} | more
    return Use(
        id=id_,
        connection=system,
        capability=capability,
        action=action,
        effect=Effect.CONTAIN,
        **given,
    )
