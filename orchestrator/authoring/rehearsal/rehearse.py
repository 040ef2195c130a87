"""The rehearsal of one case: played by the real workflows or in memory, and compared."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Any

from pydantic import ValidationError

from orchestrator.assets.inventory import Asset
from orchestrator.assets.match import other_names
from orchestrator.authoring.rehearsal.alert_fields import EMPTY_ALERT, START_TIME, overlay
from orchestrator.authoring.rehearsal.inventory import CaseInventory
from orchestrator.authoring.rehearsal.memory_port import play_in_memory
from orchestrator.authoring.rehearsal.result import (
    AskedQuestion,
    Mismatch,
    Rehearsal,
    mismatches,
)
from orchestrator.authoring.rehearsal.state import RehearsalState
from orchestrator.authoring.rehearsal.temporal_harness import TemporalHarness
from orchestrator.authoring.rehearsal.tests_yaml.model import Case, CaseInput, CasesFile
from orchestrator.contracts.run import RunContext, RunInput, RunResult
from orchestrator.domain.alert import Alert, alert_view, with_age
from orchestrator.domain.errors import Invalid
from orchestrator.domain.observable import CANONICAL
from orchestrator.domain.run import Mode
from orchestrator.intake.body import BodyRefused, parse_json
from orchestrator.intake.errors import NotAnAlert, Unparseable
from orchestrator.intake.parsers import parser_for
from orchestrator.playbook.compile.inputs import accept_inputs
from orchestrator.playbook.language.evaluate import evaluate_condition
from orchestrator.playbook.plan import Plan
from orchestrator.policy.document import DEFAULT_POLICY, Policy, parse_policy
from orchestrator.policy.inputs import PolicyInForce
from orchestrator.store.queries.policy_inputs import KnownAsset

ReadFile = Callable[[str], bytes]
"""Reads a file below the playbook's folder by its relative name."""

_numbers = itertools.count(1)


async def rehearse(
    plan: Plan, cases: CasesFile, case: Case, read: ReadFile, harness: TemporalHarness | None = None
) -> Rehearsal:
    """Play one case by the real workflows in the harness, or in memory without one.

    Raises Invalid for a case that makes no sense: a file without an alert, inputs that do not fit,
    an invalid policy.
    """
    alert = build_alert(case.given, read)
    started = (
        plan.trigger is None
        or alert is None
        or evaluate_condition(plan.trigger.when, {"alert": with_age(alert, START_TIME)})
    )
    if not case.triggers or not started:
        fits = f"the alert {'fits' if started else 'does not fit'} the trigger"
        return Rehearsal(
            case.name,
            None,
            differences=() if started is case.triggers else (Mismatch("triggers", fits),),
        )
    state = build_state(plan, cases, case, alert)
    result, took = await (
        harness.play(state, case.watched)
        if harness is not None
        else play_in_memory(state, case.watched)
    )
    return _rehearsal(case, state, result, took)


def build_state(
    plan: Plan, cases: CasesFile, case: Case, alert: dict[str, Any] | None
) -> RehearsalState:
    """Return the state in which a case is played. Raises Invalid."""
    context = RunContext.of_plan(
        plan,
        run_id=f"run_rehearsal_{next(_numbers)}",
        mode=Mode.LIVE,
        severity=int(alert["severity"]) if alert else 0,
        started_by="rehearsal",
    )
    run = RunInput(
        run=context,
        plan=plan,
        alert=alert,
        inputs=accept_inputs(plan.inputs, case.given.inputs),
        started_at=START_TIME,
    )
    policy = (
        _policy(case.policy, "its policy") if case.policy else _policy(DEFAULT_POLICY, "the policy")
    )
    inventory = CaseInventory(
        tuple(_asset(number, row) for number, row in enumerate(case.assets, 1))
    )
    further = [
        (
            timedelta(seconds=each.after),
            overlay({**(alert or EMPTY_ALERT), "id": f"alert_{number}"}, each.alert),
        )
        for number, each in enumerate(case.alerts, 2)
    ]
    return RehearsalState(
        run,
        {**cases.stubs, **case.stubs},
        case.decide,
        PolicyInForce(1, policy.digest, policy),
        inventory,
        further,
    )


def build_alert(given: CaseInput, read: ReadFile) -> dict[str, Any] | None:
    """Return the alert as the playbook sees it, with the case's fields laid over it.

    None where the case has no alert. Raises Invalid.
    """
    if given.file is None or given.product is None:
        return overlay(EMPTY_ALERT, given.alert) if given.alert else None
    raw = read(given.file)
    alert = alert_view(
        _parse(given.file, given.product, raw),
        alert_id="alert_1",
        incident_id="inc_1",
        source=given.product,
        product=given.product,
        raw_sha256=sha256(raw).hexdigest(),
    )
    return overlay(alert, given.alert)


def _parse(file: str, product: str, raw: bytes) -> Alert:
    """Return the first alert in what a product sent. Raises Invalid that names the file."""
    parser = parser_for(product)
    try:
        return parser(parse_json(raw), START_TIME)[0]
    except BodyRefused as error:
        raise Invalid(f"{file}: {error}") from error
    except (Unparseable, NotAnAlert) as error:
        raise Invalid(
            f"{file}: not an alert of {product} ({error}); "
            "name the product that sent it, or another file"
        ) from error


@lru_cache(maxsize=32)
def _policy(text: str, file: str) -> Policy:
    """Return the parsed policy; most cases share one, and parsing is slow. Raises Invalid."""
    return parse_policy(text, file)


def _asset(number: int, row: dict[str, Any]) -> KnownAsset:
    try:
        asset = Asset.model_validate_json(json.dumps(row), strict=True)
        return KnownAsset(
            asset.type.value,
            CANONICAL[asset.type](asset.value),
            asset.kind,
            asset.critical,
            list(asset.tags),
            other_names(asset.type, asset.also),
        )
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, each['loc']))}: {each['msg']}"
            for each in error.errors(include_url=False, include_input=False)
        )
    except ValueError as error:
        wrong = f"value: {error}"
    raise Invalid(
        f"asset {number}: {wrong}; set type and value, and where needed kind, critical, tags, also"
    )


def _rehearsal(case: Case, state: RehearsalState, result: RunResult, took: timedelta) -> Rehearsal:
    found = Rehearsal(
        case=case.name,
        status=result.status.value,
        error=result.error,
        failed_path=result.failed_path,
        applied=tuple(state.applied),
        undone=tuple(state.undone),
        released=tuple(state.released),
        asked=tuple(state.asked),
        took=took,
        states=state.states,
        results=state.results,
        errors=state.errors,
    )
    wrong = (
        *_mistaken_answers(case, state.asked),
        *(mismatches(case.expect, found) if case.expect else ()),
    )
    return Rehearsal(
        **{**{name: getattr(found, name) for name in Rehearsal.__slots__}, "differences": wrong}
    )


def _mistaken_answers(case: Case, asked: Sequence[AskedQuestion]) -> Iterator[Mismatch]:
    """Yield answers that fill a form where changes are asked about.

    `{aprove: [...]}` (a typo) parses as form input; it must not count as an approval.
    """
    for number, question in enumerate(asked):
        answer = case.decide[min(number, len(case.decide) - 1)] if case.decide else None
        if isinstance(answer, dict) and not question.form:
            message = (
                f"decide: {question.text!r} asks about changes, but its answer fills a form; "
                "write approve or `{approve: [TARGET]}`"
            )
            yield Mismatch("decide", message, step=question.path)
