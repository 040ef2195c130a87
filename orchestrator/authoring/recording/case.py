"""How does a real run become a case of tests.yaml? What it was given, what systems and people answered, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

from orchestrator.authoring.recording.anonymize import StandIns
from orchestrator.authoring.rehearsal.action_schemas import spec_of
from orchestrator.authoring.rehearsal.alert_fields import BARE
from orchestrator.authoring.rehearsal.state import target_of
from orchestrator.contracts.messages import ActionCall, RunContext, StepRef
from orchestrator.domain.change import Effect, PlannedChange
from orchestrator.domain.errors import Conflict, TocsinError
from orchestrator.domain.model import Frozen
from orchestrator.domain.run import Mode, RunStatus
from orchestrator.playbook.plan import Plan
from orchestrator.policy.document import DEFAULT_POLICY

FINAL = {RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.DECLINED, RunStatus.ROLLED_BACK}
"""How a run ends that a case can expect; one that was cancelled was ended from outside."""
_LOOKED_UP: dict[str, str] = {"find_host": "host", "find_user": "user"}


class Did(Frozen):
    """One step that called an action, in the order of the run. `undone`: the run itself took it back."""

    path: str
    connection: str
    capability: str
    action: str
    effect: Effect
    inputs: dict[str, Any]
    result: Any = None
    planned_change: dict[str, Any] | None = None
    error: str | None = None
    applied: bool = False
    undone: bool = False
    failed: bool = False

    @property
    def name(self) -> str:
        """As a stub is written."""
        return f"{self.connection}.{self.action}"


class Answered(Frozen):
    """One question and what people said. `changes`: those that were asked about, by digest; `agreed`: digests."""

    question: str
    state: Literal["approved", "declined", "expired"]
    changes: dict[str, Did] = {}
    agreed: tuple[str, ...] = ()
    form: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the store holds of a run that ended. `policy`: the one in force, as data; None: the one that ships."""

    run_id: str
    status: str
    plan: Plan
    alert: dict[str, Any] | None
    later: Sequence[
        tuple[int, dict[str, Any]]
    ]  # alerts that the run waited for, and how many seconds after its start they came
    inputs: dict[str, Any]
    did: Sequence[Did]
    answered: Sequence[Answered] = ()
    assets: Sequence[dict[str, Any]] = ()
    policy: str | None = None
    notes: Sequence[str] = field(default=())


class Recorded(Frozen):
    """The case, as data that `Case` takes, and what it cannot tell."""

    case: dict[str, Any]
    notes: tuple[str, ...]


def recorded(evidence: Evidence) -> Recorded:
    """The case of a run, with stand-ins for people and machines and with secrets masked. Raises Conflict where no case can tell it."""
    if evidence.status not in FINAL:
        raise Conflict(
            f"run {evidence.run_id} is {evidence.status}; only a run that came to an end of its own can be recorded"
        )
    names = _noticed(evidence)
    notes = list(evidence.notes)
    told = {
        "alerts": [
            {"after": f"{after}s", "alert": names.instead(_whole(view))}
            for after, view in evidence.later
        ],
        "given": _given(evidence, names),
        "decide": [names.instead(_answer(each)) for each in evidence.answered],
        "stubs": {name: stub for name, stub in _stubs(evidence.did, names, notes) if stub},
        "assets": names.instead(list(evidence.assets)),
        "policy": None if evidence.policy is None else names.instead(evidence.policy),
    }
    case = {
        "name": f"as in run {evidence.run_id}",
        **{name: value for name, value in told.items() if value},
    }
    return Recorded(case={**case, "expect": _expected(evidence, names)}, notes=tuple(notes))


def _noticed(evidence: Evidence) -> StandIns:
    names = StandIns()
    names.notice_networks(evidence.policy or DEFAULT_POLICY)
    names.notice_networks(evidence.plan.model_dump_json())
    names.notification(evidence.alert or {})
    names.notification([view for _, view in evidence.later])
    names.notification(evidence.inputs)
    names.notification(list(evidence.assets))
    for each in evidence.did:
        names.notification(each.inputs)
        names.notification(each.result, _LOOKED_UP.get(each.action))
        names.notification(each.planned_change or {})
    return names


_OWN_TO_THE_RUN = {"id", "incident_id", "raw_sha256", "dedup_key"}
"""Fields of an alert that tell of nothing but where it is kept."""


def _given(evidence: Evidence, names: StandIns) -> dict[str, Any]:
    if evidence.alert is None:
        return {"inputs": names.instead(evidence.inputs)} if evidence.inputs else {}
    given = {"alert": names.instead(_seen(evidence.alert))}
    return {**given, "inputs": names.instead(evidence.inputs)} if evidence.inputs else given


def _seen(alert: Mapping[str, Any]) -> dict[str, Any]:
    """What is not as in any alert."""
    kept = {
        key: value
        for key, value in alert.items()
        if key in BARE and key not in _OWN_TO_THE_RUN and BARE[key] != value
    }
    return {key: _without_nothing(value) for key, value in kept.items()}


def _whole(alert: Mapping[str, Any]) -> dict[str, Any]:
    """All of it, as it is laid over the first alert, of which nothing may shine through."""
    return {
        key: value for key, value in alert.items() if key in BARE and key not in _OWN_TO_THE_RUN
    }


def _without_nothing(value: Any) -> Any:
    """A part of an alert without the fields that are null anyway."""
    return (
        {key: each for key, each in value.items() if each is not None}
        if isinstance(value, Mapping)
        else value
    )


def _stubs(
    did: Sequence[Did], names: StandIns, notes: list[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    for name in dict.fromkeys(each.name for each in did):
        yield name, names.instead(_stub([each for each in did if each.name == name], notes))


def _stub(calls: Sequence[Did], notes: list[str]) -> dict[str, Any]:
    """What one action did, call by call: a stub can fail at first, and then answer."""
    stub: dict[str, Any] = {}
    failed = [each.failed for each in calls]
    if all(failed):
        return {"accepts_only": True} if _only_accepted(calls[0]) else {"fails": "rejected"}
    first = failed.index(False)
    if any(failed[first:]):
        notes.append(
            f"{calls[0].name} failed after it had worked; a stub cannot tell that, so it works each time"
        )
    if first:
        stub |= {"fails": "rejected", "times": first}
    outputs = [_output(each) for each in calls[first:] if not each.failed]
    if any(output != outputs[0] for output in outputs):
        stub["outputs"] = [outputs[0]] * first + outputs
    elif outputs[0]:
        stub["output"] = outputs[0]
    planned_changes = [each.planned_change for each in calls if each.planned_change is not None]
    if planned_changes and not any(
        planned_change.get("changed", True) for planned_change in planned_changes
    ):
        stub["changed"] = False
    return stub


def _only_accepted(call: Did) -> bool:
    return call.applied and "verification" in (call.error or "")


def _output(call: Did) -> dict[str, Any]:
    """Without what stands in the planned_change, which the rehearsal makes itself, and with no address of a system of ours."""
    spec = spec_of(call.capability, call.action)
    told = call.result if isinstance(call.result, Mapping) else {}
    own = (
        {name: value for name, value in told.items() if name not in PlannedChange.model_fields}
        if call.effect.changes
        else dict(told)
    )
    kept = {
        name: value
        for name, value in own.items()
        if spec is None or name in spec.output.model_fields
    }
    return (
        {name: _elsewhere(value, call.connection) for name, value in kept.items()}
        if call.effect.changes
        else kept
    )


def _elsewhere(value: Any, connection: str) -> Any:
    if not isinstance(value, str) or not value.startswith(("https://", "http://")):
        return value
    parts = urlsplit(value)
    return urlunsplit((parts.scheme, f"{connection}.corp.example", parts.path, "", ""))


def _answer(each: Answered) -> Any:
    if each.state != "approved":
        return {"declined": "decline", "expired": "expire"}[each.state]
    if each.form is not None:
        return each.form
    if set(each.agreed) >= set(each.changes):
        return "approve"
    return {
        "approve": [
            _effect(each.changes[digest]) for digest in each.agreed if digest in each.changes
        ]
    }


def _expected(evidence: Evidence, names: StandIns) -> dict[str, Any]:
    return {
        "status": str(evidence.status),
        "applied": [names.instead(_effect(each)) for each in evidence.did if each.applied],
        "undone": [names.instead(_effect(each)) for each in evidence.did if each.undone],
        "asked": [names.instead(each.question) for each in evidence.answered],
    }


def _effect(call: Did) -> str:
    """As a case writes it: with the target that a rehearsal takes from the input."""
    if call.effect is Effect.NOTIFY:
        return call.name
    try:
        return f"{call.name} {target_of(_call(call)).value}"
    except TocsinError:
        return f"{call.name} {(call.planned_change or {}).get('target', {}).get('value', '')}"


def _call(call: Did) -> ActionCall:
    run = RunContext(
        run_id="run_recorded", attempt=1, playbook="recorded", version=1, plan_digest="", mode=Mode.LIVE, source=None, severity=0,
        started_by="recorder",
    )  # fmt: skip
    ref = StepRef(run=run, path=call.path, seq=1)
    return ActionCall(
        ref=ref,
        connection=call.connection,
        capability=call.capability,
        action=call.action,
        effect=call.effect,
        input=call.inputs,
    )
