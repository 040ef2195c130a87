"""What the nftables connector keeps beyond the contract: overlaps, exact taking back, sets that are not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

from connectors.nftables.connector import Nftables
from connectors.nftables.emulator import FakeNft
from connectors.sdk.call import Call
from connectors.sdk.contract import ConnectorContract, Sample
from connectors.sdk.open import open_connector
from connectors.sdk.transport import Access
from orchestrator.domain.errors import Rejected, Unavailable

ADDRESS, NETWORK = {"address": "198.51.100.7"}, {"network": "203.0.113.0/24"}


def _blocked(world: Any) -> None:
    world.put("block4", "198.51.100.7", {"elem": {"val": {"prefix": {"addr": "203.0.113.0", "len": 24}}, "comment": "by hand"}})


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

    def world(self) -> FakeNft:
        return FakeNft(self.place)

    def open(self, world: Any, access: Access, **settings: Any) -> Nftables:
        return open_connector(Nftables, {"table": "soar", "nft": str(world.nft), **settings}, access)
