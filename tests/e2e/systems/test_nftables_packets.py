"""The nftables connector against the real nft: packets between network namespaces stop, and flow again."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from connectors.nftables.connector import Nftables
from connectors.sdk.call import ActionCall
from connectors.sdk.guard import WriteRefused
from connectors.sdk.open import open_connector
from connectors.sdk.transport import Access
from orchestrator.domain.errors import Rejected


def _missing() -> str | None:
    """Why this machine cannot run the test."""
    if os.geteuid() != 0:
        return "needs root for network namespaces"
    lacking = [
        tool
        for tool in ("nft", "ip", "ping", "sysctl")
        if shutil.which(tool, path="/usr/sbin:/usr/bin:/sbin:/bin") is None
    ]
    return (
        f"needs {', '.join(lacking)} (apt-get install nftables iproute2 iputils-ping procps)"
        if lacking
        else None
    )


pytestmark = pytest.mark.skipif(_missing() is not None, reason=str(_missing()))

SERVER, ATTACKER, NEIGHBOUR = "10.77.0.10", "198.51.100.66", "198.51.100.67"
SERVER6, ATTACKER6 = "fd77::10", "fd66::66"
TABLE = """
table inet tocsin {
  set block4 { type ipv4_addr; flags interval, timeout; }
  set block6 { type ipv6_addr; flags interval, timeout; }
  chain guard {
    type filter hook forward priority -10; policy accept;
    ip saddr @block4 drop
    ip daddr @block4 drop
    ip6 saddr @block6 drop
    ip6 daddr @block6 drop
  }
}
"""


@dataclass(frozen=True)
class Lab:
    """attacker -- firewall -- server, each a namespace of its own."""

    attacker: str
    firewall: str
    server: str

    def open(self, access: Access = Access.WRITE, **settings: Any) -> Nftables:
        """The connector on the firewall."""
        return open_connector(Nftables, {"netns": self.firewall, **settings}, access)

    def reaches(self, source: str, target: str = SERVER) -> bool:
        """Whether a packet from that address of the attacker is answered by the server."""
        ping = [
            "ip",
            "netns",
            "exec",
            self.attacker,
            "ping",
            "-n",
            "-q",
            "-c",
            "1",
            "-W",
            "1",
            "-I",
            source,
            target,
        ]
        return subprocess.run(ping, capture_output=True, check=False).returncode == 0

    def nft(self, text: str) -> None:
        """Runs nft commands on the firewall, by hand."""
        subprocess.run(
            ["ip", "netns", "exec", self.firewall, "nft", "-f", "-"],
            input=text.encode(),
            check=True,
            capture_output=True,
        )

    def listing(self, name: str = "block4") -> list[Any]:
        """What the kernel says is in the set."""
        show = [
            "ip",
            "netns",
            "exec",
            self.firewall,
            "nft",
            "-j",
            "list",
            "set",
            "inet",
            "tocsin",
            name,
        ]
        listed = json.loads(subprocess.run(show, capture_output=True, check=True).stdout)
        return next(entry["set"].get("elem", []) for entry in listed["nftables"] if "set" in entry)


@pytest.fixture
def lab() -> Iterator[Lab]:
    """Three fresh namespaces with unique names, deleted afterwards."""
    mark = secrets.token_hex(3)
    made = Lab(f"tocsin-{mark}-att", f"tocsin-{mark}-fw", f"tocsin-{mark}-srv")
    try:
        _build(made)
        yield made
    finally:
        for name in (made.attacker, made.firewall, made.server):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def _build(lab: Lab) -> None:
    att, fw, srv = lab.attacker, lab.firewall, lab.server
    for line in [
        *(f"netns add {name}" for name in (att, fw, srv)),
        *(f"-n {name} link set lo up" for name in (att, fw, srv)),
        f"-n {fw} link add att0 type veth peer name eth0 netns {att}",
        f"-n {fw} link add srv0 type veth peer name eth0 netns {srv}",
        f"-n {att} addr add {ATTACKER}/24 dev eth0",
        f"-n {att} addr add {NEIGHBOUR}/24 dev eth0",
        f"-n {att} addr add {ATTACKER6}/64 dev eth0 nodad",
        f"-n {srv} addr add {SERVER}/24 dev eth0",
        f"-n {srv} addr add {SERVER6}/64 dev eth0 nodad",
        f"-n {fw} addr add 198.51.100.1/24 dev att0",
        f"-n {fw} addr add 10.77.0.1/24 dev srv0",
        f"-n {fw} addr add fd66::1/64 dev att0 nodad",
        f"-n {fw} addr add fd77::1/64 dev srv0 nodad",
        *(f"-n {name} link set eth0 up" for name in (att, srv)),
        *(f"-n {fw} link set {link} up" for link in ("att0", "srv0")),
        f"-n {att} route add default via 198.51.100.1",
        f"-n {srv} route add default via 10.77.0.1",
        f"-n {att} -6 route add default via fd66::1",
        f"-n {srv} -6 route add default via fd77::1",
        f"netns exec {fw} sysctl -qw net.ipv4.ip_forward=1",
        f"netns exec {fw} sysctl -qw net.ipv6.conf.all.forwarding=1",
    ]:
        subprocess.run(["ip", *line.split()], check=True, capture_output=True)
    lab.nft(TABLE)
    # Neighbours have to find each other first; until then a lost packet says nothing about the firewall.
    for source, target in ((ATTACKER, SERVER), (NEIGHBOUR, SERVER), (ATTACKER6, SERVER6)):
        assert any(lab.reaches(source, target) for _ in range(10))


async def test_packets_stop_when_an_address_is_blocked_and_flow_again_when_it_is_undone(
    lab: Lab,
) -> None:
    given = {"address": ATTACKER}
    assert lab.reaches(ATTACKER)
    async with lab.open() as connector:
        planned_change = await connector.plan("block_address", given, ActionCall.bare())
        assert lab.reaches(ATTACKER), "a plan changes nothing"
        await connector.apply("block_address", planned_change, ActionCall.bare())
        await connector.apply("block_address", planned_change, ActionCall.bare())
        assert not lab.reaches(ATTACKER)
        assert lab.reaches(NEIGHBOUR)
        assert await connector.verify("block_address", given, planned_change, {}, ActionCall.bare())
        assert lab.listing() == [{"elem": {"val": ATTACKER, "comment": ActionCall.bare().tag}}]
        await connector.undo("block_address", planned_change, ActionCall.bare())
        await connector.undo("block_address", planned_change, ActionCall.bare())
        assert await connector.verify_undone(
            "block_address", given, planned_change, ActionCall.bare()
        )
    assert lab.reaches(ATTACKER)
    assert lab.listing() == []


async def test_packets_of_ipv6_stop_as_well(lab: Lab) -> None:
    assert lab.reaches(ATTACKER6, SERVER6)
    async with lab.open() as connector:
        await connector.apply(
            "block_address",
            await connector.plan("block_address", {"address": ATTACKER6}, ActionCall.bare()),
            ActionCall.bare(),
        )
    assert not lab.reaches(ATTACKER6, SERVER6)


async def test_a_network_over_a_blocked_address_is_blocked_whole_and_taken_back_without_it(
    lab: Lab,
) -> None:
    given = {"network": "198.51.100.0/24"}
    lab.nft(f'add element inet tocsin block4 {{ {ATTACKER} comment "by hand" }}')
    async with lab.open() as connector:
        planned_change = await connector.plan("block_network", given, ActionCall.bare())
        await connector.apply("block_network", planned_change, ActionCall.bare())
        assert await connector.verify("block_network", given, planned_change, {}, ActionCall.bare())
        assert not lab.reaches(ATTACKER)
        assert not lab.reaches(NEIGHBOUR)
        await connector.undo("block_network", planned_change, ActionCall.bare())
    assert not lab.reaches(ATTACKER)
    assert lab.reaches(NEIGHBOUR)
    assert lab.listing() == [{"elem": {"val": ATTACKER, "comment": "by hand"}}]


async def test_an_address_within_a_blocked_network_is_covered(lab: Lab) -> None:
    lab.nft("add element inet tocsin block4 { 198.51.100.0/24 timeout 1h }")
    async with lab.open(Access.READ) as connector:
        assert (await connector.plan("block_address", {"address": ATTACKER}, ActionCall.bare()))[
            "changed"
        ] is False
        with pytest.raises(Rejected, match=r"part of 198\.51\.100\.0/24"):
            await connector.plan("unblock_address", {"address": ATTACKER}, ActionCall.bare())


async def test_lifting_a_network_s_block_lifts_every_part_of_it_and_undo_brings_all_back(
    lab: Lab,
) -> None:
    lab.nft(
        f"add element inet tocsin block4 {{ {ATTACKER} timeout 1h, {NEIGHBOUR}, 203.0.113.0/24 }}"
    )
    async with lab.open() as connector:
        planned_change = await connector.plan(
            "unblock_network", {"network": "198.51.100.0/24"}, ActionCall.bare()
        )
        await connector.apply("unblock_network", planned_change, ActionCall.bare())
        assert lab.reaches(ATTACKER)
        assert lab.reaches(NEIGHBOUR)
        await connector.undo("unblock_network", planned_change, ActionCall.bare())
    assert not lab.reaches(ATTACKER)
    assert not lab.reaches(NEIGHBOUR)
    assert len(lab.listing()) == 3


async def test_read_access_changes_nothing_in_the_kernel(lab: Lab) -> None:
    async with lab.open(Access.READ) as connector:
        planned_change = await connector.plan(
            "block_address", {"address": ATTACKER}, ActionCall.bare()
        )
        with pytest.raises(WriteRefused):
            await connector.apply("block_address", planned_change, ActionCall.bare())
    assert lab.listing() == []


async def test_the_check_names_what_is_there_and_the_fix_for_what_is_not(lab: Lab) -> None:
    async with lab.open(Access.READ) as connector:
        assert (
            await connector.check()
            == "table inet tocsin: 0 elements in block4, 0 elements in block6"
        )
    async with lab.open(Access.READ, table="elsewhere") as connector:
        with pytest.raises(Rejected, match="define it as table inet elsewhere"):
            await connector.check()
    lab.nft("flush chain inet tocsin guard")
    async with lab.open(Access.READ) as connector:
        with pytest.raises(Rejected, match="nothing drops: no rule drops by block4 and block6"):
            await connector.check()
    lab.nft("add set inet tocsin merged { type ipv4_addr; flags interval; auto-merge; }")
    async with lab.open(Access.READ, set4="merged") as connector:
        with pytest.raises(Rejected, match="auto-merge"):
            await connector.check()


_SAVED = "add rule inet tocsin guard "


@pytest.mark.parametrize(
    ("rules", "stops"),
    [
        ("ip saddr @block4 counter log drop", True),
        ("iifname att0 ip saddr @block4 reject", True),
        ("ip saddr @block4 goto ends", True),
        ("jump inner", True),
        ("ip saddr @block4 counter", False),
        ("tcp dport 22 ip saddr @block4 drop", False),
        ("ip saddr @block4 accept", False),
        ("accept\nip saddr @block4 drop", False),
        ("ip saddr @block4 jump notes", False),
        ("ip saddr . tcp dport { 192.0.2.1 . 22 } drop", False),
    ],
)
async def test_the_check_says_what_packets_do(lab: Lab, rules: str, stops: bool) -> None:
    lab.nft("flush chain inet tocsin guard")
    for chain, rule in (("ends", "log drop"), ("notes", "log"), ("inner", "ip saddr @block4 drop")):
        lab.nft(f"add chain inet tocsin {chain}\nadd rule inet tocsin {chain} {rule}")
    lab.nft("\n".join(_SAVED + rule for rule in [*rules.split("\n"), "ip6 saddr @block6 drop"]))
    lab.nft(f"add element inet tocsin block4 {{ {ATTACKER} }}")
    assert lab.reaches(ATTACKER) is not stops
    async with lab.open(Access.READ) as connector:
        if stops:
            assert "1 elements in block4" in await connector.check()
            return
        with pytest.raises(Rejected, match="nothing drops: no rule drops by block4"):
            await connector.check()


async def test_a_dormant_table_and_an_outgoing_chain_stop_nothing(lab: Lab) -> None:
    lab.nft(f"add element inet tocsin block4 {{ {ATTACKER} }}")
    lab.nft("add table inet tocsin { flags dormant; }")
    assert lab.reaches(ATTACKER)
    async with lab.open(Access.READ) as connector:
        with pytest.raises(Rejected, match="nothing drops"):
            await connector.check()
    lab.nft("delete table inet tocsin\n" + TABLE.replace("hook forward", "hook output"))
    lab.nft(f"add element inet tocsin block4 {{ {ATTACKER} }}")
    assert lab.reaches(ATTACKER)
    async with lab.open(Access.READ) as connector:
        with pytest.raises(Rejected, match="nothing drops"):
            await connector.check()
