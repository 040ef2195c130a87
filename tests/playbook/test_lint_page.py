"""The page docs/lint.md, generated from the rules."""

from pathlib import Path

from orchestrator.playbook.lint.page import render_page
from orchestrator.playbook.lint.rules import RULES

PAGE = Path(__file__).parents[2] / "docs" / "lint.md"


def test_page_is_generated_from_the_rules() -> None:
    assert PAGE.read_text("utf-8") == render_page(), "run `python -m orchestrator.cli.docs`"


def test_every_rule_has_a_unique_id_and_a_reason() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)
    assert all(
        rule.summary.endswith(".") and rule.why.endswith(".") and rule.id in render_page()
        for rule in RULES
    )
