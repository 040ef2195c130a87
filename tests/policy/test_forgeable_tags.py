"""Tags by names that an alert can forge: they make a verdict stricter, never looser."""

from __future__ import annotations

import pytest

from orchestrator.assets.facts import asset_facts_from
from orchestrator.domain.change import Change, Effect
from orchestrator.domain.observable import ObservableType, Target
from orchestrator.policy.document import parse_policy
from orchestrator.policy.evaluate import ChangeContext, ChangeFacts, PolicyInForce, evaluate
from orchestrator.store.queries.policy_inputs import KnownAsset

INVENTORY = [KnownAsset("host", "lab-1", "unknown", critical=False, tags=["lab"])]
TARGET = Target(type=ObservableType.HOST, value="crown-jewels")


def test_a_claimed_name_gives_tags_that_are_not_sure() -> None:
    claimed = asset_facts_from(INVENTORY, TARGET, names={"lab-1"}, sure=())
    assert (claimed.tags, claimed.sure_tags) == (("lab",), ())
    looked_up = asset_facts_from(INVENTORY, TARGET, names={"lab-1"}, sure={"lab-1"})
    assert looked_up.sure_tags == ("lab",)


@pytest.mark.parametrize(
    ("rule", "sure", "verdict"),
    [
        ("allow: true", (), "ask"),
        ("allow: true", ("lab",), "allow"),
        ("deny: no", (), "deny"),
        ("approve: true", (), "ask"),
    ],
)
def test_a_rule_that_allows_ignores_forgeable_tags(
    rule: str, sure: tuple[str, ...], verdict: str
) -> None:
    policy = parse_policy(f"rules: [{{tags: [lab], {rule}}}, {{effect: contain, approve: true}}]")
    planned_change = {"target": TARGET.model_dump(mode="json"), "changed": True, "summary": ""}
    change = Change(
        connection="edr",
        connector="x",
        action="isolate_host",
        effect=Effect.CONTAIN,
        input={},
        planned_change=planned_change,
    )
    facts = ChangeFacts(tags=("lab",), sure_tags=sure)
    assert (
        evaluate(
            change, PolicyInForce(1, policy.digest, policy), facts, ChangeContext(playbook="p")
        ).outcome
        == verdict
    )
