"""What the Falcon connector keeps beyond the contract: errors under 200, polling, tokens, names that FQL could misread."""

from __future__ import annotations

from typing import Any, ClassVar

from connectors.crowdstrike.connector import CrowdStrike
from connectors.crowdstrike.emulator import CrowdStrikeEmulator
from connectors.sdk.contract import HttpConnectorContract, Sample

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
