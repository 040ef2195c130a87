"""What later steps see: ids that are seen flat, and every documented kind of step."""

from orchestrator.playbook import plan
from orchestrator.playbook.compile import results
from tests.harness.playbook_texts import steps_of


def test_flat_ids_omit_the_steps_of_a_for_each() -> None:
    steps = steps_of("""
        - id: both
          parallel:
            - id: each
              for_each: [1]
              as: item
              at_most: 1
              steps: [{id: hidden, wait: 1s}]
              on_error: [{id: handler, wait: 1s}]
            - id: pick
              choose:
                - when: true
                  steps: [{id: one, wait: 1s}]
                - otherwise: [{id: two, wait: 1s}]
        - id: again
          repeat: {steps: [{id: round, wait: 1s}], until: true, at_most: 2}
    """)
    assert results.flat_ids(steps) == (
        "both",
        "each",
        "handler",
        "pick",
        "one",
        "two",
        "again",
        "round",
    )


def test_every_kind_of_step_has_a_line_in_the_table() -> None:
    kinds = {
        "use (a read)",
        "use (a change)",
        "parallel",
        "for_each",
        "choose",
        "repeat",
        "wait",
        "ask",
        "call",
    }
    told = {
        line.split("|")[1].strip()
        for line in (results.__doc__ or "").splitlines()
        if line.startswith("| ")
    }
    assert kinds <= told
    assert {kind.partition(" ")[0] for kind in kinds} == {
        model.model_fields["kind"].default for model in plan.Step.__subclasses__()
    }
