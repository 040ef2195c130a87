"""The edge firewall: one nft set in memory, in which overlapping targets share elements."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Any

from connectors.nftables.client import NftClient
from connectors.nftables.emulator import carry_out, empty_state, span_of
from connectors.nftables.settings import NftablesSettings
from connectors.sdk.process import ToolResult
from connectors.sdk.transport import Access

_SET = "block4"


class EdgeDevice:
    """The sets of the emulated nft, changed in this process instead of in one per call."""

    def __init__(self) -> None:
        self.on_change: Callable[[set[str], set[str]], None] = _ignore  # added, removed
        self.reset()

    def reset(self) -> None:
        self._state = empty_state()
        self._faults: list[str] = []

    def inject(self, **fault: Any) -> None:
        self._faults.append(fault["kind"])

    def clear_faults(self) -> None:
        self._faults.clear()

    @property
    def blocked(self) -> set[str]:
        """Every blocked address."""
        spans = map(span_of, self._state["sets"][_SET])
        return {
            str(ip_address(number)) for span in spans for number in range(span.low, span.high + 1)
        }

    def shows(self, target: str) -> bool:
        return addresses(target) <= self.blocked

    def put(self, target: str, *, shown: bool) -> None:
        """Block by hand, or lose every element that overlaps the target."""
        entries = self._state["sets"][_SET]
        network = ip_network(target)
        if shown:
            value = {"prefix": {"addr": str(network[0]), "len": network.prefixlen}}
            entries.append({"elem": {"val": value, "comment": "by hand"}})
            return
        low, high = int(network[0]), int(network[-1])
        entries[:] = [
            each for each in entries if span_of(each).high < low or span_of(each).low > high
        ]

    def run(self, stdin: bytes, *, writes: bool) -> ToolResult:
        """Run the commands, all or nothing."""
        fault = self._faults.pop(0) if writes and self._faults else None
        if fault == "refused":
            return ToolResult(1, b"", b"Error: Operation refused")
        changed, before = copy.deepcopy(self._state), self.blocked
        try:
            listed = [
                entry
                for command in json.loads(stdin)["nftables"]
                for entry in carry_out(changed, command)
            ]
        except LookupError as error:
            return ToolResult(1, b"", str(error.args[0]).encode())
        if writes and fault != "silent":
            self._state = changed
            self.on_change(self.blocked - before, before - self.blocked)
        code = -9 if fault == "lost_reply" else 0
        return ToolResult(code, json.dumps({"nftables": listed}).encode(), b"")


class EdgeClient(NftClient):
    """The connector's client, with the tool inside this process."""

    def __init__(self, settings: NftablesSettings, access: Access, device: EdgeDevice) -> None:
        super().__init__(settings, access)
        self._device = device

    async def _run(self, argv: list[str], stdin: bytes, *, writes: bool) -> ToolResult:
        result = self._device.run(stdin, writes=writes)
        if result.code != 0:
            raise self._refusal(result, writes=writes)
        return result


def addresses(target: str) -> set[str]:
    """Return the addresses of a network."""
    return {str(address) for address in ip_network(target)}


def _ignore(_added: set[str], _removed: set[str]) -> None:
    """Do nothing before the first sequence."""
