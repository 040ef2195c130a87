"""What would a playbook have done? One case is run by the interpreter on a world of stubs, and compared with what it expects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from orchestrator.domain.alert import view
from orchestrator.domain.errors import Invalid
from orchestrator.domain.run import Mode
from orchestrator.engine.contracts import RunContext, RunInput
from orchestrator.engine.interpreter import Interpreter
from orchestrator.intake.body import parse_json
from orchestrator.intake.sources import parser_for
from orchestrator.playbook.expressions import condition
from orchestrator.playbook.inputs import accept
from orchestrator.playbook.plan import Plan
from orchestrator.policy.document import DEFAULT_POLICY, parse_policy
from orchestrator.policy.judge import InForce
from orchestrator.staging.cases import Case, Cases, Expectation, Given
from orchestrator.staging.world import World

Read = Callable[[str], bytes]
"""A file below the playbook's folder, by its relative name."""

STARTED = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What came of a case. `problems`: in what it differs from what was expected, as sentences; empty: it is as expected."""

    case: str
    status: str | None  # None: it did not start
    error: str | None
    applied: tuple[str, ...]
    undone: tuple[str, ...]
    asked: tuple[str, ...]
    problems: tuple[str, ...]


async def rehearse(plan: Plan, cases: Cases, case: Case, read: Read) -> Rehearsal:
    """One case. Raises Invalid for a case that makes no sense: a file that is no alert, inputs that do not fit, a bad policy."""
    alert = alert_of(case.given, read)
    started = plan.trigger is None or alert is None or condition(plan.trigger.when, {"alert": alert})
    if not case.triggers or not started:
        problems = [] if started is case.triggers else [f"the alert {'fits' if started else 'does not fit'} the trigger"]
        return Rehearsal(case.name, None, None, (), (), (), tuple(problems))
    context = RunContext(
        run_id="run_rehearsal", attempt=1, playbook=plan.playbook, version=plan.version, plan_digest=plan.digest,
        mode=Mode.LIVE, source=None, severity=int(alert["severity"]) if alert else 0, started_by="rehearsal",
    )  # fmt: skip
    run = RunInput(run=context, plan=plan, alert=alert, inputs=accept(plan.inputs, case.given.inputs), started_at=STARTED)
    policy = parse_policy(case.policy or DEFAULT_POLICY, f"the policy of the case {case.name!r}")
    world = World(run, {**cases.stubs, **case.stubs}, case.decide, InForce(1, policy.digest, policy))
    result = await Interpreter(world, run).whole()
    found = (tuple(world.applied), tuple(world.undone), tuple(world.asked))
    problems = [*_differences(case.expect, result.status.value, result.error, *found)] if case.expect else []
    return Rehearsal(case.name, result.status.value, result.error, *found, tuple(problems))


def alert_of(given: Given, read: Read) -> dict[str, Any] | None:
    """The alert as the playbook sees it, with the case's own fields laid over; None where the case gives none. Raises Invalid."""
    if given.file is None or given.product is None:
        return _over(_BARE, given.alert) if given.alert else None
    raw = read(given.file)
    alerts = parser_for(given.product)(parse_json(raw), STARTED)
    seen = view(
        alerts[0], alert_id="alert_1", incident_id="inc_1", source=given.product, product=given.product, raw_sha256=sha256(raw).hexdigest()
    )
    return _over(seen, given.alert)


_BARE: dict[str, Any] = {
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


def _differences(
    expect: Expectation, status: str, error: str | None, applied: tuple[str, ...], undone: tuple[str, ...], asked: tuple[str, ...]
) -> list[str]:
    found = [] if status == expect.status else [f"status is {status}, not {expect.status}" + (f" ({error})" if error else "")]
    for name, wanted, got in (("applied", expect.applied, applied), ("undone", expect.undone, undone)):
        if wanted is not None and Counter(wanted) != Counter(got):
            missing, more = list((Counter(wanted) - Counter(got)).elements()), list((Counter(got) - Counter(wanted)).elements())
            found.append(f"{name}: missing {missing or 'nothing'}, and beyond that {more or 'nothing'}")
    if expect.asked is not None and not (
        len(expect.asked) == len(asked) and all(part in text for part, text in zip(expect.asked, asked, strict=True))
    ):
        found.append(f"asked: {list(asked)}, not {expect.asked}")
    return found
