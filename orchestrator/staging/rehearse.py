"""What would a playbook have done? A case is played, by the real workflows or in memory, and compared with what it expects."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Any

from pydantic import ValidationError

from orchestrator.domain.alert import view
from orchestrator.domain.errors import Invalid
from orchestrator.domain.observable import CANONICAL, ObservableType
from orchestrator.domain.run import Mode, StepState
from orchestrator.engine.contracts import RunContext, RunInput, RunResult
from orchestrator.intake.body import parse_json
from orchestrator.intake.sources import parser_for
from orchestrator.playbook.expressions import condition
from orchestrator.playbook.inputs import accept
from orchestrator.playbook.plan import Plan
from orchestrator.policy.document import DEFAULT_POLICY, Policy, parse_policy
from orchestrator.policy.judge import InForce
from orchestrator.staging.cases import Case, Cases, Given
from orchestrator.staging.expecting import Difference, differences
from orchestrator.staging.inventory import Inventory
from orchestrator.staging.served import Theatre
from orchestrator.staging.stage import Asked, Stage
from orchestrator.staging.world import played
from orchestrator.store.facts import KnownAsset

Read = Callable[[str], bytes]
"""A file below the playbook's folder, by its relative name."""

STARTED = datetime(2026, 1, 1, tzinfo=UTC)
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What came of a case. `differences`: from what was expected; none: it is as expected. `status` None: it did not start."""

    case: str
    status: str | None
    error: str | None = None
    applied: tuple[str, ...] = ()
    undone: tuple[str, ...] = ()
    released: tuple[str, ...] = ()
    asked: tuple[Asked, ...] = ()
    took: timedelta = timedelta()
    states: dict[str, StepState] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    differences: tuple[Difference, ...] = ()

    @property
    def problems(self) -> tuple[str, ...]:
        """The differences as sentences."""
        return tuple(each.said for each in self.differences)


async def rehearse(plan: Plan, cases: Cases, case: Case, read: Read, theatre: Theatre | None = None) -> Rehearsal:
    """One case, by the real workflows in the theatre, else in memory.

    Raises Invalid for a case that makes no sense: a file that is no alert, inputs that do not fit, a bad policy.
    """
    alert = alert_of(case.given, read)
    started = plan.trigger is None or alert is None or condition(plan.trigger.when, {"alert": alert})
    if not case.triggers or not started:
        fits = f"the alert {'fits' if started else 'does not fit'} the trigger"
        return Rehearsal(case.name, None, differences=() if started is case.triggers else (Difference("triggers", said=fits),))
    stage = staged(plan, cases, case, alert)
    result, took = await (theatre.play(stage, case.watched) if theatre is not None else played(stage, case.watched))
    return _told(case, stage, result, took)


def staged(plan: Plan, cases: Cases, case: Case, alert: dict[str, Any] | None) -> Stage:
    """The stage on which a case is played. Raises Invalid."""
    context = RunContext(
        run_id=f"run_rehearsal_{next(_numbers)}", attempt=1, playbook=plan.playbook, version=plan.version, plan_digest=plan.digest,
        mode=Mode.LIVE, source=None, severity=int(alert["severity"]) if alert else 0, started_by="rehearsal",
    )  # fmt: skip
    run = RunInput(run=context, plan=plan, alert=alert, inputs=accept(plan.inputs, case.given.inputs), started_at=STARTED)
    policy = _policy(case.policy, f"the policy of the case {case.name!r}") if case.policy else _policy(DEFAULT_POLICY, "the policy")
    inventory = Inventory(tuple(_asset(case, number, row) for number, row in enumerate(case.assets, 1)))
    further = [
        (timedelta(seconds=each.after), _over({**(alert or BARE), "id": f"alert_{number}"}, each.alert))
        for number, each in enumerate(case.alerts, 2)
    ]
    return Stage(run, {**cases.stubs, **case.stubs}, case.decide, InForce(1, policy.digest, policy), inventory, further)


def alert_of(given: Given, read: Read) -> dict[str, Any] | None:
    """The alert as the playbook sees it, with the case's own fields laid over; None where the case gives none. Raises Invalid."""
    if given.file is None or given.product is None:
        return _over(BARE, given.alert) if given.alert else None
    raw = read(given.file)
    alerts = parser_for(given.product)(parse_json(raw), STARTED)
    seen = view(
        alerts[0], alert_id="alert_1", incident_id="inc_1", source=given.product, product=given.product, raw_sha256=sha256(raw).hexdigest()
    )
    return _over(seen, given.alert)


BARE: dict[str, Any] = {
    **dict.fromkeys(("rule", "host", "user", "remote", "local", "file", "process", "url")),
    "id": "alert_1",
    "incident_id": "inc_1",
    "source": "rehearsal",
    "product": "generic",
    "raw_sha256": "0" * 64,
    "dedup_key": "rehearsal",
    "title": "An alert",
    "class": "other",
    "severity": 3,
    "severity_name": "medium",
    "time": STARTED.isoformat(),
    "techniques": [],
    "observables": [],
    "resolved": False,
}
_PARTS: dict[str, dict[str, Any]] = {
    "host": {"id": None, "name": None, "address": None, "kind": "unknown", "critical": False, "tags": []},
    "user": {"name": None, "domain": None, "email": None, "critical": False, "tags": []},
    "remote": dict.fromkeys(("address", "domain", "port")),
    "local": dict.fromkeys(("address", "domain", "port")),
    "file": dict.fromkeys(("name", "path", "sha256", "sha1", "md5")),
    "process": dict.fromkeys(("name", "command_line", "pid")),
}


def _over(seen: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    """Raises Invalid for a field that no alert has."""
    result = dict(seen)
    for name, value in said.items():
        part = _PARTS.get(name)
        if name not in seen or (part and isinstance(value, dict) and (value.keys() - part.keys())):
            unknown = name if name not in seen else ", ".join(sorted(f"{name}.{key}" for key in value.keys() - (part or {}).keys()))
            raise Invalid(f"an alert has no field {unknown}")
        result[name] = {**(part or {}), **(seen[name] or {}), **value} if part and isinstance(value, dict) else value
    return result


@lru_cache(maxsize=32)
def _policy(text: str, file: str) -> Policy:
    """Most cases share one, and reading it takes as long as playing a case. Raises Invalid."""
    return parse_policy(text, file)


def _asset(case: Case, number: int, row: dict[str, Any]) -> KnownAsset:
    try:
        kind = ObservableType(row["type"])
        value = CANONICAL[kind](row["value"])
        return KnownAsset(kind.value, value, str(row.get("kind", "unknown")), bool(row.get("critical", False)), list(row.get("tags", [])))
    except (KeyError, ValueError, TypeError, ValidationError) as error:
        raise Invalid(
            f"case {case.name!r}, asset {number}: {error}; give type and value, and where they matter kind, critical, tags"
        ) from error


def _told(case: Case, stage: Stage, result: RunResult, took: timedelta) -> Rehearsal:
    found = Rehearsal(
        case=case.name,
        status=result.status.value,
        error=result.error,
        applied=tuple(stage.applied),
        undone=tuple(stage.undone),
        released=tuple(stage.released),
        asked=tuple(stage.asked),
        took=took,
        states=stage.states,
        results=stage.results,
        errors=stage.errors,
    )
    wrong = tuple(differences(case.expect, found)) if case.expect else ()
    return Rehearsal(**{**{name: getattr(found, name) for name in Rehearsal.__slots__}, "differences": wrong})
