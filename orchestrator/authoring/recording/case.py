"""The test case of a recorded run: its input, the answers of systems and people, its outcome."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

from orchestrator.authoring.recording.anonymize import Anonymizer
from orchestrator.authoring.rehearsal.actions import spec_of, target_of
from orchestrator.authoring.rehearsal.alert_fields import EMPTY_ALERT
from orchestrator.contracts.change import StepCall
from orchestrator.contracts.run import RunContext, StepRef
from orchestrator.domain.change import RESULT_FIELDS, Effect
from orchestrator.domain.errors import Conflict, TocsinError
from orchestrator.domain.model import Frozen
from orchestrator.domain.run import Mode, RunStatus
from orchestrator.playbook.plan import Plan
from orchestrator.policy.document import DEFAULT_POLICY

FINAL = {RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.DECLINED, RunStatus.ROLLED_BACK}
"""How a run can end that becomes a case; a cancelled run was ended from outside."""
_LOOKED_UP: dict[str, str] = {"find_host": "host", "find_user": "user"}


class ActionRecord(Frozen):
    """One step that called an action."""

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
    """By the run itself."""
    failed: bool = False
    not_verified: bool = False
    """Whether it failed as the device did not show the change."""

    @property
    def name(self) -> str:
        """The action as a stub is written: `connection.action`."""
        return f"{self.connection}.{self.action}"


class DecisionRecord(Frozen):
    """One question and its answer."""

    question: str
    state: Literal["approved", "declined", "expired"]
    changes: dict[str, ActionRecord] = {}
    """Those that were asked about, by digest."""
    approved: tuple[str, ...] = ()
    """Digests."""
    form: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class RunEvidence:
    """What the store holds about a run that ended."""

    run_id: str
    status: str
    plan: Plan
    alert: dict[str, Any] | None
    # Alerts that the run waited for, with the seconds after its start at which they came.
    later: Sequence[tuple[int, dict[str, Any]]]
    inputs: dict[str, Any]
    actions: Sequence[ActionRecord]  # in the order of the run
    decisions: Sequence[DecisionRecord] = ()
    assets: Sequence[dict[str, Any]] = ()
    policy: str | None = None  # the text of the policy in force; None: the one that ships
    notes: Sequence[str] = field(default=())


class RecordedCase(Frozen):
    """A case, as data for the model of tests.yaml, and notes on what it cannot express."""

    case: dict[str, Any]
    notes: tuple[str, ...]


def build_case(evidence: RunEvidence) -> RecordedCase:
    """Return the case of a run, with stand-ins for people and machines, and with secrets masked.

    Raises Conflict for a run that did not end by itself.
    """
    if evidence.status not in FINAL:
        raise Conflict(
            f"run {evidence.run_id} is {evidence.status}; "
            "only a run that ended by itself can be recorded"
        )
    names = _learn_names(evidence)
    notes = list(evidence.notes)
    fields = {
        "alerts": [
            {"after": f"{after}s", "alert": names.replace(_whole(view))}
            for after, view in evidence.later
        ],
        "given": _given(evidence, names),
        "decide": [names.replace(_answer(each)) for each in evidence.decisions],
        "stubs": {name: stub for name, stub in _stubs(evidence.actions, names, notes) if stub},
        "assets": names.replace(list(evidence.assets)),
        "policy": None if evidence.policy is None else names.replace(evidence.policy),
    }
    case = {
        "name": f"as in run {evidence.run_id}",
        **{name: value for name, value in fields.items() if value},
    }
    return RecordedCase(case={**case, "expect": _expected(evidence, names)}, notes=tuple(notes))


def _learn_names(evidence: RunEvidence) -> Anonymizer:
    names = Anonymizer()
    names.learn_networks(evidence.policy or DEFAULT_POLICY)
    names.learn_networks(evidence.plan.model_dump_json())
    names.learn(evidence.alert or {})
    names.learn([view for _, view in evidence.later])
    names.learn(evidence.inputs)
    names.learn(list(evidence.assets))
    for each in evidence.actions:
        names.learn(each.inputs)
        names.learn(each.result, _LOOKED_UP.get(each.action))
        names.learn(each.planned_change or {})
    return names


_STORAGE_FIELDS = {"id", "incident_id", "raw_sha256", "dedup_key"}
"""Fields of an alert that only say where it is stored."""


def _given(evidence: RunEvidence, names: Anonymizer) -> dict[str, Any]:
    if evidence.alert is None:
        return {"inputs": names.replace(evidence.inputs)} if evidence.inputs else {}
    given = {"alert": names.replace(_own_fields(evidence.alert))}
    return {**given, "inputs": names.replace(evidence.inputs)} if evidence.inputs else given


def _own_fields(alert: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that differ from an empty alert."""
    kept = {
        key: value
        for key, value in alert.items()
        if key in EMPTY_ALERT and key not in _STORAGE_FIELDS and EMPTY_ALERT[key] != value
    }
    return {key: _without_nulls(value) for key, value in kept.items()}


def _whole(alert: Mapping[str, Any]) -> dict[str, Any]:
    """Return all fields, so that nothing of the first alert remains under them."""
    return {
        key: value
        for key, value in alert.items()
        if key in EMPTY_ALERT and key not in _STORAGE_FIELDS
    }


def _without_nulls(value: Any) -> Any:
    """Return a part of an alert without its null fields."""
    return (
        {key: each for key, each in value.items() if each is not None}
        if isinstance(value, Mapping)
        else value
    )


def _stubs(
    actions: Sequence[ActionRecord], names: Anonymizer, notes: list[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    for name in dict.fromkeys(each.name for each in actions):
        yield name, names.replace(_stub([each for each in actions if each.name == name], notes))


def _stub(calls: Sequence[ActionRecord], notes: list[str]) -> dict[str, Any]:
    """Return the stub of one action; a stub can fail at first, and then answer."""
    stub: dict[str, Any] = {}
    failed = [each.failed for each in calls]
    if all(failed):
        return {"accepts_only": True} if _only_accepted(calls[0]) else {"fails": "rejected"}
    first = failed.index(False)
    if any(failed[first:]):
        notes.append(
            f"{calls[0].name} failed after it had worked; a stub cannot express that, "
            "so it works each time"
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


def _only_accepted(call: ActionRecord) -> bool:
    return call.applied and call.not_verified


def _output(call: ActionRecord) -> dict[str, Any]:
    """Return the output without the planned change, and without addresses of internal systems."""
    spec = spec_of(call.capability, call.action)
    result = call.result if isinstance(call.result, Mapping) else {}
    own = (
        {name: value for name, value in result.items() if name not in RESULT_FIELDS}
        if call.effect.changes
        else dict(result)
    )
    kept = {
        name: value
        for name, value in own.items()
        if spec is None or name in spec.output.model_fields
    }
    return (
        {name: _example_url(value, call.connection) for name, value in kept.items()}
        if call.effect.changes
        else kept
    )


def _example_url(value: Any, connection: str) -> Any:
    if not isinstance(value, str) or not value.startswith(("https://", "http://")):
        return value
    parts = urlsplit(value)
    return urlunsplit((parts.scheme, f"{connection}.corp.example", parts.path, "", ""))


def _answer(each: DecisionRecord) -> Any:
    if each.state != "approved":
        return {"declined": "decline", "expired": "expire"}[each.state]
    if each.form is not None:
        return each.form
    if set(each.approved) >= set(each.changes):
        return "approve"
    return {
        "approve": [
            _effect(each.changes[digest]) for digest in each.approved if digest in each.changes
        ]
    }


def _expected(evidence: RunEvidence, names: Anonymizer) -> dict[str, Any]:
    return {
        "status": str(evidence.status),
        "applied": [names.replace(_effect(each)) for each in evidence.actions if each.applied],
        "undone": [names.replace(_effect(each)) for each in evidence.actions if each.undone],
        "asked": [names.replace(each.question) for each in evidence.decisions],
    }


def _effect(call: ActionRecord) -> str:
    """Return the effect as a case writes it, with the target that the input names."""
    if call.effect is Effect.NOTIFY:
        return call.name
    try:
        return f"{call.name} {target_of(_call(call)).value}"
    except TocsinError:
        return f"{call.name} {(call.planned_change or {}).get('target', {}).get('value', '')}"


def _call(call: ActionRecord) -> StepCall:
    run = RunContext(
        run_id="run_recorded",
        attempt=1,
        playbook="recorded",
        version=1,
        plan_digest="",
        mode=Mode.LIVE,
        source=None,
        severity=0,
        started_by="recorder",
    )
    ref = StepRef(run=run, path=call.path, seq=1)
    return StepCall(
        ref=ref,
        connection=call.connection,
        capability=call.capability,
        action=call.action,
        effect=call.effect,
        input=call.inputs,
    )
