"""Every expression has a budget of steps, which are counted and not timed."""

from typing import Any

import pytest

from orchestrator.playbook.language.budget import STEPS, TRIGGER_STEPS, Budget, BudgetExceeded
from orchestrator.playbook.language.evaluate import evaluate, evaluate_condition

OBSERVABLE = {"type": "process", "value": "x" * 4096, "name": "n" * 255, "role": "related"}
LARGEST = {
    "title": "t" * 1024,
    "process": {"command_line": "ab" * 2048, "parent": {"command_line": "ab" * 2048}},
    "observables": [dict(OBSERVABLE) for _ in range(256)],
    "incomplete": [{"field": "f" * 255, "reason": "limit", "message": "m" * 512}] * 32,
}
"""What the intake's limits leave of the largest alert."""
EXPENSIVE = (
    " or ".join(["(alert.observables | unique | length) > 300"] * 20),
    " or ".join(["alert == [1]"] * 20),
    " or ".join(["alert.process.command_line | matches('[ab]*a[ab]{900}c')"] * 18),
    " or ".join(["'y' in (alert.observables | map('value'))"] * 20),
    " or ".join(["(alert.observables | where('value', 'y') | length) > 0"] * 20),
)


def used(source: str, data: dict[str, Any]) -> int:
    budget = Budget()
    evaluate_condition(source, {"alert": data}, budget)
    return budget.used


@pytest.mark.attack(
    "publish a trigger that costs seconds per alert",
    before="four legal triggers cost 2.9 s per alert inside the write transaction",
)
@pytest.mark.parametrize("source", EXPENSIVE)
def test_expensive_trigger_ends_at_its_budget(source: str) -> None:
    with pytest.raises(BudgetExceeded, match=f"exceeded its budget of {TRIGGER_STEPS} steps"):
        evaluate_condition(source, {"alert": LARGEST}, Budget(TRIGGER_STEPS))


@pytest.mark.parametrize(
    "source",
    [
        "'203.0.113.9' in (alert.observables | map('value'))",
        "(alert.observables | where('type', 'address') | length) > 3",
        "alert.process.command_line | lower | matches('(mimikatz|sekurlsa|lsass).*-enc')",
        "(alert.incomplete | length) == 0 and alert.title | lower | contains('beacon')",
        "(alert.nothing | default('x')) == 'y'",
    ],
)
def test_usual_trigger_has_steps_left_on_the_largest_alert(source: str) -> None:
    """An attacker who writes alerts does not set an honest trigger aside."""
    assert used(source, LARGEST) < TRIGGER_STEPS / 4


def test_a_step_that_reads_the_largest_value_has_steps_left() -> None:
    items = [{"host": {"name": f"ws-{number}"}} for number in range(10_000)]
    scope = {"steps": {"list": {"items": items}}}
    wanted = "${{ steps.list.items | where('host.name', 'ws-7') }}"
    assert evaluate(wanted, scope) == [items[7]]
    assert len(evaluate("${{ steps.list.items | map('host.name') }}", scope)) == 10_000


def test_equal_evaluations_use_equal_steps() -> None:
    """A replay of a recorded run exceeds the budget where the run did, and nowhere else."""
    source = "(alert.observables | map('name') | unique | length) == 1"
    copy = {**LARGEST, "observables": [dict(OBSERVABLE) for _ in range(256)]}
    assert used(source, LARGEST) == used(source, copy)


def test_all_expressions_of_a_template_share_a_budget() -> None:
    template = {str(number): "${{ alert.observables | length }}" for number in range(100)}
    evaluate(template, {"alert": LARGEST})
    heavy = [f"${{{{ alert == {number} }}}}" for number in range(1 + STEPS // 2_000)]
    with pytest.raises(BudgetExceeded):
        evaluate(heavy, {"alert": LARGEST})
