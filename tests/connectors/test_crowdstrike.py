"""What the Falcon connector keeps beyond the contract: errors under 200, polling, tokens, names that FQL could misread."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

import pytest

from connectors.crowdstrike.connector import CrowdStrike
from connectors.crowdstrike.emulator import CrowdStrikeEmulator
from connectors.sdk.call import Call
from connectors.sdk.contract import HttpConnectorContract, Sample
from connectors.sdk.http import Access
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

    async def test_bans_of_ours_are_listed_over_all_pages_and_those_of_others_are_not(self) -> None:
        world: Any = self.world()
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
            tagged = await connector.tagged()
        assert [each.target for each in tagged] == [f"{number:032x}" for number in range(4, 1203)]
        assert {(each.action, each.tag, each.note) for each in tagged} == {
            ("ban_hash", "tocsin-0123456789abcdef", "why")
        }

    async def test_a_name_of_two_devices_is_refused_with_both(self) -> None:
        async with self.open(self.world(), Access.READ) as connector:
            with pytest.raises(Rejected) as caught:
                await connector.plan("isolate_host", {"host": "twin"}, Call.bare())
        assert f"{6:032x} and {7:032x}" in str(caught.value)

    async def test_a_device_id_is_taken_for_what_it_is(self) -> None:
        async with self.open(self.world(), Access.READ) as connector:
            details = await connector.read("find_host", {"host": f"{7:032x}"}, Call.bare())
        assert (details["name"], details["address"]) == ("TWIN", "10.20.2.2")

    @pytest.mark.parametrize("host", ["ws", "ws-04", "nowhere", "f" * 32])
    async def test_a_host_that_is_not_there_is_refused_though_a_longer_name_is(
        self, host: str
    ) -> None:
        async with self.open(self.world(), Access.READ) as connector:
            with pytest.raises(Rejected, match="knows no host"):
                await connector.plan("isolate_host", {"host": host}, Call.bare())

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
    async def test_a_name_that_fql_could_misread_never_reaches_it(self, host: str) -> None:
        world = self.world()
        world.throttled = 1  # any request would be noticed
        async with self.open(world, Access.READ) as connector:
            with pytest.raises(Rejected, match="neither a Falcon device id nor a host name"):
                await connector.plan("isolate_host", {"host": host}, Call.bare())

    async def test_containing_what_is_contained_in_the_meantime_is_a_success(self) -> None:
        world = self.world()
        async with self.open(world, Access.WRITE) as connector:
            planned_change = await connector.plan("isolate_host", HOST, Call.bare())
            _contained(world)
            await connector.apply("isolate_host", planned_change, Call.bare())
        assert world.effects == []

    async def test_an_error_under_202_is_an_error(self) -> None:
        world = self.world()
        async with self.open(world, Access.WRITE) as connector:
            planned_change = await connector.plan("isolate_host", HOST, Call.bare())
            world.devices[f"{1:032x}"]["status"] = "odd"
            with pytest.raises(Rejected, match="in state odd"):
                await connector.apply("isolate_host", planned_change, Call.bare())

    async def test_while_it_is_pending_the_host_is_not_verified_and_progress_is_told(self) -> None:
        world, beats = self.world(), list[Any]()
        call = replace(Call.bare(), heartbeat=beats.append)
        async with self.open(world, Access.WRITE) as connector:
            planned_change = await connector.plan("isolate_host", HOST, call)
            world.devices[f"{1:032x}"].update(status="containment_pending", since=time.time())
            assert not await connector.verify("isolate_host", HOST, planned_change, {}, call)
            await connector.apply("isolate_host", planned_change, call)
            assert await connector.verify("isolate_host", HOST, planned_change, {}, call)
        assert beats[0] == {"device": f"{1:032x}", "status": "containment_pending"}

    async def test_a_host_that_is_never_contained_is_unknown(self) -> None:
        world = self.world()
        async with self.open(
            world, Access.WRITE, **self.patience(), poll_seconds=0.06
        ) as connector:
            planned_change = await connector.plan("isolate_host", HOST, Call.bare())
            with pytest.raises(Unknown, match="may be offline"):
                await connector.apply("isolate_host", planned_change, Call.bare())

    async def test_an_expired_token_is_renewed_once(self) -> None:
        world = self.world()
        world.expired_tokens = 1
        async with self.open(world, Access.READ) as connector:
            assert await connector.read("find_host", HOST, Call.bare())
            assert len(world.tokens) == 2
            world.expired_tokens = 99
            with pytest.raises(Rejected, match="credential"):
                await connector.read("find_host", HOST, Call.bare())

    async def test_the_moment_in_the_rate_limit_header_is_honoured(self) -> None:
        world = self.world()
        world.throttled = 1
        async with self.open(world, Access.READ) as connector:
            with pytest.raises(Unavailable) as caught:
                await connector.read("find_host", HOST, Call.bare())
        assert caught.value.retry_after is not None
        assert timedelta(seconds=20) < caught.value.retry_after <= timedelta(seconds=30)

    async def test_an_indicator_that_only_watches_becomes_a_ban_and_watches_again_after_undo(
        self,
    ) -> None:
        world = self.world()
        _banned(world)
        world.indicators["0" * 64].update(action="detect", tags=["soc"])
        before = dict(world.indicators["0" * 64])
        async with self.open(world, Access.WRITE) as connector:
            planned_change = await connector.plan("ban_hash", HASH, Call.bare())
            await connector.apply("ban_hash", planned_change, Call.bare())
            assert world.in_force()["indicators"] == [f"prevent md5 {HASH['hash']}"]
            await connector.undo("ban_hash", planned_change, Call.bare())
        assert world.indicators["0" * 64] == before

    async def test_a_ban_that_somebody_else_made_anew_is_not_ours_to_remove(self) -> None:
        world = self.world()
        async with self.open(world, Access.WRITE) as connector:
            planned_change = await connector.plan("ban_hash", HASH, Call.bare())
            await connector.apply("ban_hash", planned_change, Call.bare())
            world.indicators.clear()
            _banned(world)
            await connector.undo("ban_hash", planned_change, Call.bare())
        assert list(world.indicators) == ["0" * 64]

    @pytest.mark.parametrize("length", [40, 128])
    async def test_hashes_that_falcon_cannot_ban_are_refused(self, length: int) -> None:
        async with self.open(self.world(), Access.READ) as connector:
            with pytest.raises(Rejected, match="MD5 and SHA-256 only"):
                await connector.plan("ban_hash", {"hash": "a" * length}, Call.bare())
