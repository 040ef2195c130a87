"""What the PAN-OS connector keeps beyond the contract: errors under HTTP 200, commit locks, jobs, reads told by parameters."""

from __future__ import annotations

from typing import Any, ClassVar

import httpx
import pytest

from connectors.palo_alto.connector import PaloAlto
from connectors.palo_alto.emulator import PaloAltoEmulator
from connectors.sdk.contract import HttpConnectorContract, Sample
from connectors.sdk.call import Call

ADDRESS, NETWORK = {"address": "198.51.100.7"}, {"network": "203.0.113.0/24"}


def _tagged(world: Any) -> None:
    world.tags["198.51.100.7"] = ["tocsin-blocked", "tocsin-0123456789abcdef", "other"]


def _grouped(world: Any) -> None:
    for configuration in (world.candidate, world.running):
        configuration.objects["tocsin-net-203.0.113.0_24"] = ["203.0.113.0/24", "by hand"]
        configuration.groups["tocsin-blocked-networks"].append("tocsin-net-203.0.113.0_24")


class TestPaloAlto(HttpConnectorContract):
    connector = PaloAlto
    emulator = PaloAltoEmulator
    samples: ClassVar = {
        "block_address": Sample(ADDRESS),
        "unblock_address": Sample(ADDRESS, _tagged),
        "block_network": Sample(NETWORK),
        "unblock_network": Sample(NETWORK, _grouped),
    }
