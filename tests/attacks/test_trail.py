"""Random tamperings with the whole database and the data directory are found with a sink."""

from __future__ import annotations

import pytest

from tests.attacks.trail import KINDS, run


@pytest.mark.attack(
    "alter, delete, insert, swap, cut, roll back or rewrite the trail",
    before="`audit verify` says intact",
)
async def test_each_tampering_is_found_with_the_sink_and_named() -> None:
    outcomes = await run(count=20 * len(KINDS), seed=11)
    assert [missed for each in outcomes.values() for missed in each.missed] == []
    for kind, each in outcomes.items():
        assert each.named == each.played == 20, kind
    assert sum(each.refused for each in outcomes.values()) > 0
