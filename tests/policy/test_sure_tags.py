"""Does a name that an alert made up lend its tags only to what makes a verdict stricter?"""

from __future__ import annotations

import pytest

from orchestrator.assets.facts import said_by
from orchestrator.domain.change import Change, Effect
from orchestrator.domain.observable import ObservableType, Target
from orchestrator.policy.document import parse_policy
from orchestrator.policy.evaluate import Context, Facts, InForce, evaluate
from orchestrator.store.queries.policy_inputs import KnownAsset

INVENTORY = [KnownAsset("host", "lab-1", "unknown", critical=False, tags=["lab"])]
TARGET = Target(type=ObservableType.HOST, value="crown-jewels")


def test_a_claimed_name_finds_tags_and_none_of_them_is_sure() -> None:
    claimed = said_by(INVENTORY, TARGET, names={"lab-1"}, sure=())
    assert (claimed.tags, claimed.sure_tags) == (("lab",), ())
    looked_up = said_by(INVENTORY, TARGET, names={"lab-1"}, sure={"lab-1"})
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
def test_an_allowing_rule_counts_sure_tags_only(
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
    facts = Facts(tags=("lab",), sure_tags=sure)
    assert (
        evaluate(change, InForce(1, policy.digest, policy), facts, Context(playbook="p")).verdict
        == verdict
    )
