"""The nftables connector beyond the contract: overlaps, exact undo, and unsuitable sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.contract import ConnectorContract, Sample
from connectors.nftables.connector import Nftables
from connectors.nftables.emulator import RULESET, EmulatedNft, base_chain, by_set, rule
from connectors.nftables.intervals import Element, free_parts, from_nft
from connectors.sdk.call import ActionCall
from connectors.sdk.open import open_connector
from connectors.sdk.settings import parse_settings
from connectors.sdk.transport import Access
from orchestrator.domain.errors import Invalid, Rejected, Unavailable
from orchestrator.domain.observable import ObservableType, Target

BOTH = ("block4", "block6")
DROP: dict[str, Any] = {"drop": None}
LIMIT = {"limit": {"rate": 10, "per": "second", "inv": True}}
ONE_PORT = {
    "match": {
        "op": "==",
        "left": {"payload": {"protocol": "tcp", "field": "dport"}},
        "right": 22,
    }
}
OUTSIDE = {"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "wan0"}}
ADDRESS, NETWORK = {"address": "198.51.100.7"}, {"network": "203.0.113.0/24"}


def _blocked(world: Any) -> None:
    world.put(
        "block4",
        "198.51.100.7",
        {"elem": {"val": {"prefix": {"addr": "203.0.113.0", "len": 24}}, "comment": "by hand"}},
    )


def _partly_blocked(world: Any) -> None:
    world.put("block4", {"elem": {"val": "203.0.113.9", "comment": "another's"}})


class TestNftables(ConnectorContract):
    connector = Nftables
    samples: ClassVar = {
        "block_address": Sample(ADDRESS),
        "unblock_address": Sample(ADDRESS, _blocked),
        "block_network": Sample(NETWORK, _partly_blocked),
        "unblock_network": Sample(NETWORK, _blocked),
    }

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self.place = tmp_path

    def make_world(self) -> EmulatedNft:
        return EmulatedNft(self.place)

    def open(self, world: Any, access: Access, **settings: Any) -> Nftables:
        return open_connector(
            Nftables, {"table": "soar", "nft": str(world.nft), **settings}, access
        )

    async def test_address_within_a_blocked_network_is_covered_and_not_undone(
        self,
    ) -> None:
        world = self.make_world()
        _blocked(world)
        async with self.open(world, Access.WRITE) as connector:
            planned_change = await connector.plan(
                "block_address", {"address": "203.0.113.5"}, ActionCall.bare()
            )
            assert (planned_change["changed"], planned_change["add"]) == (False, [])
            assert "as 203.0.113.0/24" in planned_change["summary"]
            with pytest.raises(Rejected, match=r"part of 203\.0\.113\.0/24; unblock that instead"):
                await connector.plan(
                    "unblock_address", {"address": "203.0.113.5"}, ActionCall.bare()
                )

    async def test_network_adds_only_its_free_parts_and_undo_removes_only_those(
        self,
    ) -> None:
        world = self.make_world()
        _partly_blocked(world)
        async with self.open(world, Access.WRITE) as connector:
            planned_change = await connector.plan("block_network", NETWORK, ActionCall.bare())
            assert [(part["first"], part["last"]) for part in planned_change["add"]] == [
                ("203.0.113.0", "203.0.113.8"),
                ("203.0.113.10", "203.0.113.255"),
            ]
            await connector.apply("block_network", planned_change, ActionCall.bare())
            await connector.undo("block_network", planned_change, ActionCall.bare())
        assert world.in_force()["block4"] == ["203.0.113.9"]

    async def test_undo_keeps_a_block_that_another_administrator_added_since(self) -> None:
        world = self.make_world()
        async with self.open(world, Access.WRITE) as connector:
            planned_change = await connector.plan("block_address", ADDRESS, ActionCall.bare())
            await connector.apply("block_address", planned_change, ActionCall.bare())
            world.alter(
                sets={
                    "block4": [{"elem": {"val": "198.51.100.7", "comment": "by hand"}}],
                    "block6": [],
                }
            )
            await connector.undo("block_address", planned_change, ActionCall.bare())
        assert world.in_force()["block4"] == ["198.51.100.7"]

    async def test_block_that_others_added_since_the_plan_stays_theirs(self) -> None:
        world = self.make_world()
        async with self.open(world, Access.WRITE) as connector:
            planned_change = await connector.plan("block_network", NETWORK, ActionCall.bare())
            world.put("block4", "203.0.113.77")
            await connector.apply("block_network", planned_change, ActionCall.bare())
            assert not (await connector.plan("block_network", NETWORK, ActionCall.bare()))[
                "changed"
            ]
            await connector.undo("block_network", planned_change, ActionCall.bare())
        assert world.in_force()["block4"] == ["203.0.113.77"]

    async def test_undo_keeps_the_addresses_that_others_hold_and_later_lifts_them(self) -> None:
        world, call = self.make_world(), ActionCall.bare()
        one, few = (
            Target.of(ObservableType.ADDRESS, "203.0.113.9"),
            Target.of(ObservableType.NETWORK, "203.0.113.64/30"),
        )
        async with self.open(world, Access.WRITE) as connector:
            planned_change = await connector.plan("block_network", NETWORK, call)
            await connector.apply("block_network", planned_change, call)
            await connector.undo("block_network", planned_change, call, (one, few))
            assert world.in_force()["block4"] == ["203.0.113.64-203.0.113.67", "203.0.113.9"]
            assert {item.tag for item in await connector.list_tagged()} == {call.tag}
            await connector.undo("block_network", planned_change, call, (few,))
            assert world.in_force()["block4"] == ["203.0.113.64-203.0.113.67"]
            await connector.undo("block_network", planned_change, call)
        assert world.in_force()["block4"] == []

    async def test_undone_unblock_restores_comment_and_remaining_time(
        self,
    ) -> None:
        world = self.make_world()
        world.put(
            "block4",
            {
                "elem": {
                    "val": "198.51.100.7",
                    "comment": "fail2ban",
                    "timeout": 600,
                    "expires": 321,
                }
            },
        )
        async with self.open(world, Access.WRITE) as connector:
            planned_change = await connector.plan("unblock_address", ADDRESS, ActionCall.bare())
            await connector.apply("unblock_address", planned_change, ActionCall.bare())
            await connector.undo("unblock_address", planned_change, ActionCall.bare())
            again = await connector.plan("unblock_address", ADDRESS, ActionCall.bare())
        (element,) = again["remove"]
        assert (element["comment"], element["timeout"]) == ("fail2ban", 321)

    async def test_ipv6_network_goes_to_its_own_set(self) -> None:
        world, given = self.make_world(), {"network": "2001:db8::/32"}
        async with self.open(world, Access.WRITE) as connector:
            await connector.apply(
                "block_network",
                await connector.plan("block_network", given, ActionCall.bare()),
                ActionCall.bare(),
            )
        assert len(world.in_force()["block6"]) == 1

    @pytest.mark.parametrize(
        ("altered", "words"),
        [
            ({"table": False}, "define it as table inet soar"),
            ({"flags": []}, "flags interval"),
            ({"auto_merge": True}, "auto-merge"),
        ],
    )
    async def test_unsuitable_set_is_reported_with_the_fix(
        self, altered: dict[str, Any], words: str
    ) -> None:
        world = self.make_world()
        world.alter(**altered)
        async with self.open(world, Access.READ) as connector:
            with pytest.raises(Rejected, match=words):
                await connector.check()

    @pytest.mark.parametrize(
        ("ruleset", "idle"),
        [
            ([], "block4 and block6"),
            ([base_chain()], "block4 and block6"),
            ([base_chain(), rule(by_set("block4"), DROP)], "block6"),
            (
                [base_chain(hook="output"), *(rule(by_set(each), DROP) for each in BOTH)],
                "block4 and block6",
            ),
            ([{"chain": {"name": "guard"}}, *RULESET[1:]], "block4 and block6"),
            (
                [base_chain(), *(rule(by_set(each), {"accept": None}) for each in BOTH)],
                "block4 and block6",
            ),
            (
                [base_chain(), *(rule(by_set(each, op="!="), DROP) for each in BOTH)],
                "block4 and block6",
            ),
            (
                [base_chain(), *(rule(ONE_PORT, by_set(each), DROP) for each in BOTH)],
                "block4 and block6",
            ),
            ([base_chain(), rule({"accept": None}), *RULESET[1:]], "block4 and block6"),
            (
                [base_chain(), *(rule(by_set(each), LIMIT, DROP) for each in BOTH)],
                "block4 and block6",
            ),
            (
                [
                    base_chain(),
                    *(rule(by_set(each), {"jump": {"target": "note"}}) for each in BOTH),
                    rule({"log": None}, chain="note"),
                ],
                "block4 and block6",
            ),
        ],
    )
    async def test_a_set_by_which_nothing_drops_is_refused(
        self, ruleset: list[Any], idle: str
    ) -> None:
        world = self.make_world()
        world.alter(ruleset=ruleset)
        async with self.open(world, Access.READ) as connector:
            with pytest.raises(Rejected, match=f"nothing drops: no rule drops by {idle}\\."):
                await connector.check()

    async def test_a_dormant_table_drops_nothing(self) -> None:
        world = self.make_world()
        world.alter(dormant=True)
        async with self.open(world, Access.READ) as connector:
            with pytest.raises(Rejected, match="nothing drops"):
                await connector.check()

    @pytest.mark.parametrize(
        "ruleset",
        [
            RULESET,
            [base_chain(hook="input"), *(rule(by_set(each), {"reject": None}) for each in BOTH)],
            [
                base_chain(hook="prerouting"),
                *(rule(OUTSIDE, by_set(each), {"counter": None}, DROP) for each in BOTH),
            ],
            [
                base_chain("outer"),
                rule(OUTSIDE, {"jump": {"target": "guard"}}, chain="outer"),
                *RULESET[1:],
            ],
            [
                base_chain(),
                *(rule(by_set(each, "daddr"), {"goto": {"target": "end"}}) for each in BOTH),
                rule({"log": None}, chain="end"),
                rule({"counter": None}, DROP, chain="end"),
            ],
        ],
    )
    async def test_rules_that_drop_by_both_sets_are_enough(self, ruleset: list[Any]) -> None:
        world = self.make_world()
        world.alter(ruleset=ruleset)
        async with self.open(world, Access.READ) as connector:
            assert "0 elements in block4, 0 elements in block6" in await connector.check()

    async def test_chains_that_lead_in_a_circle_end(self) -> None:
        world = self.make_world()
        circle = [rule({"jump": {"target": "b"}}), rule({"jump": {"target": "guard"}}, chain="b")]
        world.alter(ruleset=[base_chain(), *circle])
        async with self.open(world, Access.READ) as connector:
            with pytest.raises(Rejected, match="nothing drops"):
                await connector.check()

    async def test_a_table_of_one_family_refuses_the_addresses_of_the_other(self) -> None:
        world = self.make_world()
        world.alter(ruleset=[base_chain(), rule(by_set("block4"), DROP)])
        async with self.open(world, Access.READ, family="ip") as connector:
            assert "0 elements in block4" in await connector.check()
            with pytest.raises(Rejected, match="cannot match IPv6; use a table of family inet"):
                await connector.plan("block_address", {"address": "2001:db8::1"}, ActionCall.bare())

    async def test_slow_tool_is_unavailable_to_a_read(self) -> None:
        world = self.make_world()
        world.inject(kind="latency", seconds=30)
        async with self.open(world, Access.READ, timeout_seconds=0.3) as connector:
            with pytest.raises(Unavailable, match="did not end"):
                await connector.plan("block_address", ADDRESS, ActionCall.bare())


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            'Cannot open network namespace "edge": No such file or directory',
            "^netns cannot be entered",
        ),
        (
            'setting the network namespace "edge" failed: Invalid argument',
            "^netns cannot be entered",
        ),
        ('exec of "nft" failed: No such file or directory', "cannot be run; install nftables"),
        ("Error: No such file or directory; did you mean table x?", "^table inet tocsin does not"),
    ],
)
async def test_what_is_missing_is_named(tmp_path: Path, said: str, words: str) -> None:
    tool = tmp_path / "nft"
    tool.write_text(f"#!/bin/sh\ncat > /dev/null\nprintf '%s' '{said}' >&2\nexit 1\n")
    tool.chmod(0o700)
    connector = open_connector(Nftables, {"nft": str(tool)}, Access.READ)
    with pytest.raises(Rejected, match=words):
        await connector.check()


@pytest.mark.parametrize("field", ["table", "set4", "netns", "nft"])
@pytest.mark.parametrize("value", ["-f", "a;b", "a b", "../x", ""])
def test_setting_that_looks_like_an_option_or_command_is_refused(field: str, value: str) -> None:
    with pytest.raises(Invalid, match=field):
        parse_settings(Nftables.name, Nftables.settings_type, {field: value})


def _numbers(element: Element) -> set[int]:
    return set(range(element.low, element.high + 1))


@given(
    st.integers(0, 12),
    st.integers(0, 12),
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 5)), max_size=6),
)
def test_free_parts_are_exactly_the_addresses_outside_taken_elements(
    one: int, other: int, spans: list[tuple[int, int]]
) -> None:
    def element(low: int, high: int) -> Element:
        return Element(first=f"10.0.0.{low}", last=f"10.0.0.{high}", comment="tag")

    wanted, taken = (
        element(min(one, other), max(one, other)),
        [element(low, low + more) for low, more in spans],
    )
    parts = free_parts(wanted, taken)
    free = _numbers(wanted) - set().union(*map(_numbers, taken))
    assert set().union(*map(_numbers, parts)) == free
    assert sum(len(_numbers(part)) for part in parts) == len(free)
    assert all(part.comment == "tag" for part in parts)


@pytest.mark.parametrize("network", ["0.0.0.0/0", "255.255.255.255/32", "::/0", "10.0.0.0/31"])
def test_element_survives_a_round_trip_through_json(network: str) -> None:
    element = Element.of(network, comment="c")
    assert from_nft(element.to_nft()) == element
    assert free_parts(element, [element]) == ()
    assert str(element) == network.removesuffix("/32")
