"""A sensor on the network knows a host by its address alone; Falcon finds it by that, or says that it cannot."""

from __future__ import annotations

import pytest

from connectors.crowdstrike.connector import CrowdStrike
from connectors.crowdstrike.emulator import CrowdStrikeEmulator
from connectors.sdk.call import Call
from connectors.sdk.emulator import EmulatorTransport
from connectors.sdk.open import open_connector
from connectors.sdk.transport import Access
from orchestrator.domain.errors import Rejected


async def found(world: CrowdStrikeEmulator, host: str) -> str:
    async with open_connector(
        CrowdStrike, world.settings("http://127.0.0.1"), Access.READ, EmulatorTransport(world)
    ) as connector:
        return str((await connector.read("find_host", {"host": host}, Call.bare()))["name"])


async def test_a_host_is_found_by_its_address() -> None:
    assert await found(CrowdStrikeEmulator(), "10.20.0.42") == "WS-042"


async def test_a_part_of_an_address_is_not_enough() -> None:
    with pytest.raises(Rejected, match="knows no host"):
        await found(CrowdStrikeEmulator(), "10.20.0.4")


async def test_an_address_that_two_hosts_have_is_refused() -> None:
    world = CrowdStrikeEmulator()
    world.add_host("f" * 32, "other", "10.20.0.42")
    with pytest.raises(Rejected, match="2 devices"):
        await found(world, "10.20.0.42")
