"""Overlapping blocks on the real nft: what live leases cover together stays in the kernel's set."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.systems.test_nftables_packets import (  # noqa: F401 - the fixture
    ATTACKER,
    NEIGHBOUR,
    Lab,
    _missing,
    lab,
)
from tests.harness.activity_rig import rig
from tests.harness.overlap_rig import OverlapRig

pytestmark = pytest.mark.skipif(_missing() is not None, reason=str(_missing()))

NET = "198.51.100.64/28"


@pytest.fixture
async def edge(tmp_path: Path, lab: Lab) -> AsyncIterator[OverlapRig]:  # noqa: F811
    async with rig(tmp_path) as bench:
        made = OverlapRig(bench)
        await made.connect({"netns": lab.firewall})
        yield made


async def test_address_stays_blocked_for_the_network_around_it(
    lab: Lab,  # noqa: F811
    edge: OverlapRig,
) -> None:
    await edge.block("a", ATTACKER)
    await edge.block("b", NET)
    await edge.release("a")
    assert not lab.reaches(ATTACKER)
    assert not lab.reaches(NEIGHBOUR)
    await edge.release("b")
    assert lab.reaches(ATTACKER)
    assert lab.reaches(NEIGHBOUR)
    assert lab.listing() == []


async def test_address_in_a_network_that_ends_first_stays_blocked(
    lab: Lab,  # noqa: F811
    edge: OverlapRig,
) -> None:
    await edge.block("a", NET)
    await edge.block("b", ATTACKER)
    await edge.release("a")
    assert not lab.reaches(ATTACKER)
    assert lab.reaches(NEIGHBOUR)
    await edge.release("b")
    assert lab.reaches(ATTACKER)
    assert lab.listing() == []


async def test_block_by_hand_within_a_network_outlives_both_blocks(
    lab: Lab,  # noqa: F811
    edge: OverlapRig,
) -> None:
    lab.nft(f'add element inet tocsin block4 {{ {NEIGHBOUR} comment "by hand" }}')
    await edge.block("a", NET)
    await edge.block("b", ATTACKER)
    await edge.release("a")
    await edge.release("b")
    assert lab.reaches(ATTACKER)
    assert not lab.reaches(NEIGHBOUR)
    assert [entry["elem"]["comment"] for entry in lab.listing()] == ["by hand"]
