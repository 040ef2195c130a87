"""The Falcon connector beyond the contract: errors under 200, polling, tokens and FQL."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

import pytest

from connectors.contract import HttpConnectorContract, Sample
from connectors.crowdstrike.connector import CrowdStrike
from connectors.crowdstrike.emulator import CrowdStrikeEmulator
from connectors.sdk.call import ActionCall
from connectors.sdk.emulator import EmulatorTransport
from connectors.sdk.open import open_connector
from connectors.sdk.transport import Access
from orchestrator.domain.errors import Rejected, Unavailable, Unknown

HOST, HASH = {"host": "ws-042"}, {"hash": "44d88612fea8a8f36de82e1278abb02f"}


def _contained(world: Any) -> None:
    world.devices[f"{1:032x}"]["status"] = "contained"


def _banned(world: Any) -> None:
    platforms = ["windows", "mac", "linux"]
    world.indicators["0" * 64] = {
        "id": "0" * 64,
        "type": "md5",
        "value": HASH["hash"],
        "action": "prevent",
        "platforms": platforms,
        "applied_globally": True,
        "host_groups": [],
        "severity": "high",
        "tags": ["by-hand"],
    }


class TestCrowdStrike(HttpConnectorContract):
    connector = CrowdStrike
    emulator = CrowdStrikeEmulator
    samples: ClassVar = {
        "find_host": Sample(HOST),
        "isolate_host": Sample(HOST),
        "release_host": Sample(HOST, _contained),
        "ban_hash": Sample(HASH),
        "unban_hash": Sample(HASH, _banned),
    }

    def patience(self) -> dict[str, Any]:
        return {"containment_timeout_seconds": 0.05}

    async def test_tagged_bans_are_listed_over_all_pages_without_foreign_ones(self) -> None:
        world: Any = self.make_world()
        for number in range(1203):
            ban = {
                "type": "md5",
                "value": f"{number:032x}",
                "action": "prevent",
                "source": "Tocsin",
                "description": "why",
            }
            world.indicators[str(number)] = {
                **ban,
                "id": str(number),
                "tags": ["else", "tocsin-0123456789abcdef"],
            }
        world.indicators["0"]["source"], world.indicators["1"]["tags"] = "by hand", ["else"]
        world.indicators["2"]["expired"], world.indicators["3"]["action"] = True, "detect"
        async with self.open(world, Access.READ) as connector:
            tagged = await connector.list_tagged()
        assert [each.target for each in tagged] == [f"{number:032x}" for number in range(4, 1203)]
        assert {(each.action, each.tag, each.note) for each in tagged} == {
            ("ban_hash", "tocsin-0123456789abcdef", "why")
        }

    async def test_name_of_two_devices_is_refused_with_both_ids(self) -> None:
        async with self.open(self.make_world(), Access.READ) as connector:
            with pytest.raises(Rejected) as caught:
                await connector.plan("isolate_host", {"host": "twin"}, ActionCall.bare())
        assert f"{6:032x} and {7:032x}" in str(caught.value)

    async def test_device_id_finds_the_device(self) -> None:
        async with self.open(self.make_world(), Access.READ) as connector:
            details = await connector.read("find_host", {"host": f"{7:032x}"}, ActionCall.bare())
        assert (details["name"], details["address"]) == ("TWIN", "10.20.2.2")

    @pytest.mark.parametrize("host", ["ws", "ws-04", "nowhere", "f" * 32])
    async def test_unknown_host_is_refused_although_a_longer_name_matches(self, host: str) -> None:
        async with self.open(self.make_world(), Access.READ) as connector:
            with pytest.raises(Rejected, match="knows no host"):
                await connector.plan("isolate_host", {"host": host}, ActionCall.bare())

    @pytest.mark.parametrize(
        "host",
        [
            "x'+platform_name:'windows",
            "ws-042'",
            "*",
            "!ws",
            "[ws]",
            "ws\\042",
            "wś-042",
            "a,b",
            "a(b",
            '"',
        ],
    )
    async def test_name_with_fql_characters_is_not_sent(self, host: str) -> None:
        world = self.make_world()
        world.throttled = 1  # any request would be noticed
        async with self.open(world, Access.READ) as connector:
            with pytest.raises(Rejected, match="neither a Falcon device id nor a host name"):
                await connector.plan("isolate_host", {"host": host}, ActionCall.bare())

    async def test_host_that_was_contained_since_the_plan_is_a_success(self) -> None:
        world = self.make_world()
        async with self.open(world, Access.WRITE) as connector:
            planned_change = await connector.plan("isolate_host", HOST, ActionCall.bare())
            _contained(world)
            await connector.apply("isolate_host", planned_change, ActionCall.bare())
        assert world.effects == []

    async def test_error_under_202_is_an_error(self) -> None:
        world = self.make_world()
        async with self.open(world, Access.WRITE) as connector:
            planned_change = await connector.plan("isolate_host", HOST, ActionCall.bare())
            world.devices[f"{1:032x}"]["status"] = "odd"
            with pytest.raises(Rejected, match="in state odd"):
                await connector.apply("isolate_host", planned_change, ActionCall.bare())

    async def test_pending_host_is_not_verified_and_sends_heartbeats(self) -> None:
        world, beats = self.make_world(), list[Any]()
        call = replace(ActionCall.bare(), heartbeat=beats.append)
        async with self.open(world, Access.WRITE) as connector:
            planned_change = await connector.plan("isolate_host", HOST, call)
            world.devices[f"{1:032x}"].update(status="containment_pending", since=time.time())
            assert not await connector.verify("isolate_host", HOST, planned_change, {}, call)
            await connector.apply("isolate_host", planned_change, call)
            assert await connector.verify("isolate_host", HOST, planned_change, {}, call)
        assert beats[0] == {"device": f"{1:032x}", "status": "containment_pending"}

    async def test_host_that_stays_pending_is_unknown(self) -> None:
        world = self.make_world()
        async with self.open(
            world, Access.WRITE, **self.patience(), poll_seconds=0.06
        ) as connector:
            planned_change = await connector.plan("isolate_host", HOST, ActionCall.bare())
            with pytest.raises(Unknown, match="may be offline"):
                await connector.apply("isolate_host", planned_change, ActionCall.bare())

    async def test_expired_token_is_renewed_once(self) -> None:
        world = self.make_world()
        world.expired_tokens = 1
        async with self.open(world, Access.READ) as connector:
            assert await connector.read("find_host", HOST, ActionCall.bare())
            assert len(world.tokens) == 2
            world.expired_tokens = 99
            with pytest.raises(Rejected, match="credential"):
                await connector.read("find_host", HOST, ActionCall.bare())

    async def test_wait_follows_the_rate_limit_header(self) -> None:
        world = self.make_world()
        world.throttled = 1
        async with self.open(world, Access.READ) as connector:
            with pytest.raises(Unavailable) as caught:
                await connector.read("find_host", HOST, ActionCall.bare())
        assert caught.value.retry_after is not None
        assert timedelta(seconds=20) < caught.value.retry_after <= timedelta(seconds=30)

    async def test_detecting_indicator_becomes_a_ban_and_undo_restores_it(
        self,
    ) -> None:
        world = self.make_world()
        _banned(world)
        world.indicators["0" * 64].update(action="detect", tags=["soc"])
        before = dict(world.indicators["0" * 64])
        async with self.open(world, Access.WRITE) as connector:
            planned_change = await connector.plan("ban_hash", HASH, ActionCall.bare())
            await connector.apply("ban_hash", planned_change, ActionCall.bare())
            assert world.in_force()["indicators"] == [f"prevent md5 {HASH['hash']}"]
            await connector.undo("ban_hash", planned_change, ActionCall.bare())
        assert world.indicators["0" * 64] == before

    async def test_undo_keeps_a_ban_that_another_administrator_added_since(self) -> None:
        world = self.make_world()
        async with self.open(world, Access.WRITE) as connector:
            planned_change = await connector.plan("ban_hash", HASH, ActionCall.bare())
            await connector.apply("ban_hash", planned_change, ActionCall.bare())
            world.indicators.clear()
            _banned(world)
            await connector.undo("ban_hash", planned_change, ActionCall.bare())
        assert list(world.indicators) == ["0" * 64]

    @pytest.mark.parametrize("length", [40, 128])
    async def test_unsupported_hash_is_refused(self, length: int) -> None:
        async with self.open(self.make_world(), Access.READ) as connector:
            with pytest.raises(Rejected, match="MD5 and SHA-256 only"):
                await connector.plan("ban_hash", {"hash": "a" * length}, ActionCall.bare())


async def find_host(world: CrowdStrikeEmulator, host: str) -> str:
    async with open_connector(
        CrowdStrike, world.settings("http://127.0.0.1"), Access.READ, EmulatorTransport(world)
    ) as connector:
        return str((await connector.read("find_host", {"host": host}, ActionCall.bare()))["name"])


async def test_host_is_found_by_its_address() -> None:
    assert await find_host(CrowdStrikeEmulator(), "10.20.0.42") == "WS-042"


async def test_part_of_an_address_finds_no_host() -> None:
    with pytest.raises(Rejected, match="knows no host"):
        await find_host(CrowdStrikeEmulator(), "10.20.0.4")


async def test_address_of_two_hosts_is_refused() -> None:
    world = CrowdStrikeEmulator()
    world.add_host("f" * 32, "other", "10.20.0.42")
    with pytest.raises(Rejected, match="2 devices"):
        await find_host(world, "10.20.0.42")


async def test_name_with_a_domain_finds_the_device_whose_name_has_none() -> None:
    assert await find_host(CrowdStrikeEmulator(), "WS-042.corp.example.") == "WS-042"


async def test_device_of_the_whole_name_comes_before_one_of_the_short_name() -> None:
    world = CrowdStrikeEmulator()
    world.add_host("f" * 32, "ws-042.corp.example")
    assert await find_host(world, "ws-042.corp.example") == "WS-042.CORP.EXAMPLE"
    assert await find_host(world, "ws-042") == "WS-042"


@pytest.mark.parametrize("host", ["twin.corp.example", "ws-0.corp.example", "nowhere.corp.example"])
async def test_name_with_a_domain_finds_no_host_if_not_exactly_one_matches(host: str) -> None:
    with pytest.raises(Rejected, match=r"2 devices|knows no host"):
        await find_host(CrowdStrikeEmulator(), host)


async def test_domain_tells_devices_of_the_same_name_apart() -> None:
    world = CrowdStrikeEmulator()
    world.add_host("e" * 32, "pc-1", "10.20.7.1", domain="emea.example")
    world.add_host("f" * 32, "pc-1", "10.20.7.2", domain="APAC.example")
    settings = world.settings("http://127.0.0.1")
    transport = EmulatorTransport(world)
    async with open_connector(CrowdStrike, settings, Access.READ, transport) as connector:
        for domain, address in (("emea.example", "10.20.7.1"), ("apac.example", "10.20.7.2")):
            host = {"host": f"pc-1.{domain}"}
            details = await connector.read("find_host", host, ActionCall.bare())
            assert details["address"] == address
        with pytest.raises(Rejected, match="knows no host"):
            await connector.read("find_host", {"host": "pc-1.evil.example"}, ActionCall.bare())
        with pytest.raises(Rejected, match="2 devices"):
            await connector.read("find_host", {"host": "pc-1"}, ActionCall.bare())
