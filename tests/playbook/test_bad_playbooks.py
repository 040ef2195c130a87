"""Bad playbooks: every problem has line, column, step and fix, and all are reported at once."""

import pytest

from orchestrator.playbook import plan
from orchestrator.playbook.compile.compiler import compile_playbook
from orchestrator.playbook.problems import PlaybookInvalid
from orchestrator.playbook.schema.playbook import PlaybookSpec
from orchestrator.playbook.schema.steps import KINDS
from tests.harness.playbook_texts import (
    CATALOGUE,
    FILE,
    FIRST_STEP_LINE,
    HEAD,
    bad_texts,
    compiled,
    problems_of,
    with_steps,
    within_steps,
)
from tests.playbook.test_constructs import CALLED

LOOK = "- {id: look, use: reputation.lookup_address, with: {address: 198.51.100.7}}\n"
WAIT = "- {id: pause, wait: 1s}\n"

STEPS = bad_texts("bad_steps.txt")
HEADS = bad_texts("bad_heads.txt")
GOOD = with_steps("- {id: a, wait: 1s}")


@pytest.mark.parametrize("name", STEPS)
def test_bad_step_has_a_problem_with_place_and_fix(name: str) -> None:
    problems = problems_of(with_steps(STEPS[name].text), compiled(CALLED).plan)
    assert [within_steps(problem) for problem in problems] == [STEPS[name].problem]


@pytest.mark.parametrize("name", HEADS)
def test_bad_head_has_a_problem_with_place_and_fix(name: str) -> None:
    problems = problems_of(HEADS[name].text)
    assert [str(problem).removeprefix(f"{FILE}:") for problem in problems] == [HEADS[name].problem]


def test_every_construct_has_a_bad_example() -> None:
    keys = {name.partition(":")[0] for name in (*STEPS, *HEADS)}
    assert keys >= {
        *PlaybookSpec.model_fields,
        *KINDS,
        "with",
        "for",
        "id",
        "when",
        "retry",
        "timeout",
        "on_error",
        "approve",
    }


def test_a_problem_reads_as_one_line_that_a_terminal_can_jump_to() -> None:
    text = with_steps("- id: block\n  use: firewall.block_address\n  with: {addres: 198.51.100.7}")
    with pytest.raises(PlaybookInvalid) as caught:
        compile_playbook(text, FILE, CATALOGUE, lambda _name, _version: None)
    line = FIRST_STEP_LINE + 2
    assert (
        str(caught.value)
        == f"playbooks/x/playbook.yaml:{line}:12: step block: unknown input 'addres'; did you mean 'address'?"
    )


def test_all_problems_are_reported_at_once_in_the_order_of_the_text() -> None:
    text = with_steps("""
        - {id: a, wait: soon, when: alert.titel == ''}
        - id: b
          parallel:
            - {id: c, use: firewall.block_address, with: {addres: 198.51.100.7}}
            - {id: d, use: edr.isolte_host}
          approve: {question: Q, within: 15x}
        - {id: e, wait: 1s, when: steps.a.waited and steps.c.changed and steps.zzz.x}
    """).replace("title: X", "titel: X")
    problems = problems_of(text)
    assert [problem.step for problem in problems] == [None, "a", "c", "d", "b", "e"]
    assert [problem.line for problem in problems] == sorted(problem.line for problem in problems)


def test_malformed_step_causes_no_problems_in_steps_that_name_it() -> None:
    text = with_steps(
        "- id: a\n  parallel:\n    - {id: b, use: edr.find_host, with: 3}\n- {id: c, wait: 1s, when: steps.b.online and steps.a.b.online}"
    )
    assert [problem.step for problem in problems_of(text)] == ["b"]


def test_recursion_through_another_playbook_is_refused() -> None:
    called = compiled(GOOD.replace("trigger:\n  when: alert.severity >= 4\n", "")).plan
    middle = plan.Plan(
        playbook="y",
        version=1,
        title="Y",
        owner="o",
        steps=(plan.CallPlaybook(id="back", plan=called),),
    )
    (problem,) = problems_of(with_steps("- {id: a, call: y@1}"), middle)
    assert problem.message == "y@1 leads back to 'x'"


def test_playbook_with_a_trigger_cannot_be_called() -> None:
    (problem,) = problems_of(
        with_steps("- {id: a, call: z@1}"),
        compiled(GOOD.replace("playbook: x", "playbook: z")).plan,
    )
    assert problem.message == "z@1 has a trigger, and a called playbook sees only its inputs"


def test_more_than_500_steps_are_refused() -> None:
    steps = "\n".join(f"- {{id: s{number}, wait: 1s}}" for number in range(501))
    (problem,) = problems_of(with_steps(steps))
    assert problem.message == "the playbook has more than 500 steps, including those that it calls"
    assert problems_of(with_steps(steps.rpartition("\n")[0])) == ()


def test_the_steps_of_called_playbooks_count() -> None:
    many = plan.Plan(
        playbook="many",
        version=1,
        title="M",
        owner="o",
        steps=tuple(plan.Wait(id=f"s{number}", seconds=1) for number in range(300)),
    )
    (problem,) = problems_of(with_steps("- {id: a, call: many@1}\n- {id: b, call: many@1}"), many)
    assert "more than 500 steps" in problem.message


def nested(levels: int) -> str:
    """Return a playbook with a step inside of `levels - 1` blocks."""
    step = "{id: s0, wait: 1s}"
    for level in range(1, levels):
        step = f"{{id: s{level}, parallel: [{step}]}}"
    return with_steps(f"- {step}")


def test_nesting_is_bounded() -> None:
    assert problems_of(nested(8)) == ()
    (problem,) = problems_of(nested(9))
    assert problem.message == "steps are nested more than 8 deep"


@pytest.mark.parametrize("text", ["", "- a", "just text", "steps: 3", "{", "playbook: x", HEAD])
def test_text_that_is_not_a_playbook_is_refused(text: str) -> None:
    assert problems_of(text)
