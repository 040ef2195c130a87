"""docs/lint.md is what the rules say."""

from pathlib import Path

from orchestrator.playbook.lint.page import page
from orchestrator.playbook.lint.rules import RULES

PAGE = Path(__file__).parents[2] / "docs" / "lint.md"


def test_the_page_is_written_from_the_rules() -> None:
    assert PAGE.read_text("utf-8") == page(), (
        'write it anew: python -c "from orchestrator.playbook.lint.page import page; print(page(), end=str())"'
    )


def test_every_rule_says_why_and_is_named_once() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)
    assert all(
        rule.sentence.endswith(".") and rule.why.endswith(".") and rule.id in page()
        for rule in RULES
    )
