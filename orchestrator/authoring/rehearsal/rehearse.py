"""What would a playbook have done? A case is played, by the real workflows or in memory, and compared with what it expects."""

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
from orchestrator.authoring.rehearsal.alert_fields import BARE, STARTED, laid_over
from orchestrator.authoring.rehearsal.assertions import differences
from orchestrator.authoring.rehearsal.inventory import Inventory
from orchestrator.authoring.rehearsal.memory_port import played
from orchestrator.authoring.rehearsal.result import Difference, Rehearsal
from orchestrator.authoring.rehearsal.state import Asked, Stage
from orchestrator.authoring.rehearsal.temporal_harness import Theatre
from orchestrator.authoring.rehearsal.tests_yaml.model import Case, Cases, Given
from orchestrator.contracts.messages import RunContext, RunInput, RunResult
from orchestrator.domain.alert import Alert, view
from orchestrator.domain.errors import Invalid
from orchestrator.domain.observable import CANONICAL
from orchestrator.domain.run import Mode
from orchestrator.intake.body import BodyRefused, parse_json
from orchestrator.intake.parsers import parser_for
from orchestrator.intake.refusal import NotAnAlert, Unparseable
from orchestrator.playbook.compile.inputs import accept
from orchestrator.playbook.language.evaluate import condition
from orchestrator.playbook.plan import Plan
from orchestrator.policy.document import DEFAULT_POLICY, Policy, parse_policy
from orchestrator.policy.evaluate import InForce
from orchestrator.store.queries.policy_inputs import KnownAsset

Read = Callable[[str], bytes]
"""A file below the playbook's folder, by its relative name."""

_numbers = itertools.count(1)


async def rehearse(
    plan: Plan, cases: Cases, case: Case, read: Read, theatre: Theatre | None = None
) -> Rehearsal:
    """One case, by the real workflows in the theatre, else in memory.

    Raises Invalid for a case that makes no sense: a file that is no alert, inputs that do not fit, a bad policy.
    """
    alert = alert_of(case.given, read)
    started = (
        plan.trigger is None or alert is None or condition(plan.trigger.when, {"alert": alert})
    )
    if not case.triggers or not started:
        fits = f"the alert {'fits' if started else 'does not fit'} the trigger"
        return Rehearsal(
            case.name,
            None,
            differences=() if started is case.triggers else (Difference("triggers", said=fits),),
        )
    stage = staged(plan, cases, case, alert)
    result, took = await (
        theatre.play(stage, case.watched) if theatre is not None else played(stage, case.watched)
    )
    return _told(case, stage, result, took)


def staged(plan: Plan, cases: Cases, case: Case, alert: dict[str, Any] | None) -> Stage:
    """The stage on which a case is played. Raises Invalid."""
    context = RunContext(
        run_id=f"run_rehearsal_{next(_numbers)}", attempt=1, playbook=plan.playbook, version=plan.version, plan_digest=plan.digest,
        mode=Mode.LIVE, source=None, severity=int(alert["severity"]) if alert else 0, started_by="rehearsal",
    )  # fmt: skip
    run = RunInput(
        run=context,
        plan=plan,
        alert=alert,
        inputs=accept(plan.inputs, case.given.inputs),
        started_at=STARTED,
    )
    policy = (
        _policy(case.policy, "its policy") if case.policy else _policy(DEFAULT_POLICY, "the policy")
    )
    inventory = Inventory(tuple(_asset(number, row) for number, row in enumerate(case.assets, 1)))
    further = [
        (
            timedelta(seconds=each.after),
            laid_over({**(alert or BARE), "id": f"alert_{number}"}, each.alert),
        )
        for number, each in enumerate(case.alerts, 2)
    ]
    return Stage(
        run,
        {**cases.stubs, **case.stubs},
        case.decide,
        InForce(1, policy.digest, policy),
        inventory,
        further,
    )


def alert_of(given: Given, read: Read) -> dict[str, Any] | None:
    """The alert as the playbook sees it, with the case's own fields laid over; None where the case gives none. Raises Invalid."""
    if given.file is None or given.product is None:
        return laid_over(BARE, given.alert) if given.alert else None
    raw = read(given.file)
    seen = view(
        _sent(given.file, given.product, raw), alert_id="alert_1", incident_id="inc_1", source=given.product, product=given.product,
        raw_sha256=sha256(raw).hexdigest(),
    )  # fmt: skip
    return laid_over(seen, given.alert)


def _sent(file: str, product: str, raw: bytes) -> Alert:
    """The first alert in what a product sent. Raises Invalid that names the file, and says what to put there."""
    parser = parser_for(product)
    try:
        return parser(parse_json(raw), STARTED)[0]
    except BodyRefused as error:
        raise Invalid(f"{file}: {error}") from error
    except (Unparseable, NotAnAlert) as error:
        raise Invalid(
            f"{file}: is no alert as {product} sends it ({error}); name the product that sent it, or another file"
        ) from error


@lru_cache(maxsize=32)
def _policy(text: str, file: str) -> Policy:
    """Most cases share one, and reading it takes as long as playing a case. Raises Invalid."""
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
        )
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, each['loc']))}: {each['msg']}"
            for each in error.errors(include_url=False, include_input=False)
        )
    except ValueError as error:
        wrong = f"value: {error}"
    raise Invalid(
        f"asset {number}: {wrong}; give type and value, and where they task kind, critical, tags"
    )


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
    wrong = (
        *_misanswered(case, stage.asked),
        *(differences(case.expect, found) if case.expect else ()),
    )
    return Rehearsal(
        **{**{name: getattr(found, name) for name in Rehearsal.__slots__}, "differences": wrong}
    )


def _misanswered(case: Case, asked: Sequence[Asked]) -> Iterator[Difference]:
    """A misspelt `{aprove: [...]}` reads as a filled form: it must not pass for agreement with everything."""
    for number, question in enumerate(asked):
        answer = case.decide[min(number, len(case.decide) - 1)] if case.decide else None
        if isinstance(answer, dict) and not question.form:
            said = f"decide: {question.text!r} asks about changes, and its answer fills a form; write approve or `{{approve: [TARGET]}}`"
            yield Difference("decide", said, step=question.path)
