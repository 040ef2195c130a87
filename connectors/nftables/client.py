"""The `nft` tool: list a set, and change a set in one transaction."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from connectors.nftables.enforcement import enforced_versions
from connectors.nftables.intervals import Element, from_nft
from connectors.nftables.settings import NftablesSettings
from connectors.sdk.process import ToolResult, run_tool
from connectors.sdk.transport import Access
from orchestrator.domain.errors import ActionError, Rejected, Unavailable, Unknown

_MAX_LISTING_BYTES = 64 * 1024 * 1024
_RACED = re.compile(
    r"overlaps|does not exist|File exists|conflicting|busy|temporarily unavailable|Interrupted",
    re.IGNORECASE,
)
_DORMANT = re.compile(rb"^\s*flags [^\n]*\bdormant\b", re.MULTILINE)
_TYPES = {4: "ipv4_addr", 6: "ipv6_addr"}
_PROTOCOLS = {4: "ip", 6: "ip6"}


class NftClient:
    """One table on this machine. Methods raise Unavailable, Rejected, or Unknown for a write."""

    def __init__(self, settings: NftablesSettings, access: Access) -> None:
        self._settings = settings
        self._access = access

    async def elements(self, version: int) -> tuple[Element, ...]:
        """Return the elements of an IP version's set.

        Raises Rejected, with the fix, when the set is unsuitable for blocks.
        """
        name = self._settings.sets.get(version)
        if name is None:
            raise Rejected(
                f"{self._table_name()} cannot match IPv{version}; use a table of family inet"
            )
        listed = await self._list({"set": {**self._table(), "name": name}})
        found = next((entry["set"] for entry in listed if "set" in entry), None)
        if found is None:
            message = f"nft does not show the set {name!r}"
            raise Unavailable(message)
        self._check_set(found, version)
        try:
            return tuple(from_nft(entry) for entry in found.get("elem", ()))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            problem = error if isinstance(error, ValueError) else "an unreadable element"
            message = f"set {name!r} contains {problem}"
            raise Rejected(message) from None

    async def check_sets(self) -> None:
        """Raise Rejected, with the fix, for a set that merges neighbours.

        nft 1.0 shows `auto-merge` in its text only, not in its JSON.
        """
        for version, name in self._settings.sets.items():
            place = f"list set {self._settings.family} {self._settings.table} {name}\n"
            result = await self._run(self._settings.terse_argv, place.encode(), writes=False)
            if b"auto-merge" in result.stdout.split():
                raise self._merges(version)

    async def check_rules(self) -> None:
        """Raise Rejected, with the fix, where no rule of the table drops by a set."""
        await self._check_awake()
        place = {"table": {"family": self._settings.family, "name": self._settings.table}}
        listed = await self._list(place, self._settings.outline_argv)
        enforced = enforced_versions(listed, self._settings.sets)
        idle = [name for version, name in self._settings.sets.items() if version not in enforced]
        if idle:
            rules = "; ".join(
                f"{_PROTOCOLS[version]} saddr @{name} drop"
                for version, name in self._settings.sets.items()
                if name in idle
            )
            raise Rejected(
                f"{self._table_name()} accepts blocks but nothing drops: no rule drops by "
                f"{' and '.join(idle)}. Add {rules} to a filter chain hooked at input or forward, "
                "without conditions other than the interface"
            )

    async def _check_awake(self) -> None:
        """Raise Rejected for a dormant table, whose flag nft 1.0 shows in its text only."""
        place = f"list table {self._settings.family} {self._settings.table}\n"
        result = await self._run(self._settings.terse_argv, place.encode(), writes=False)
        if _DORMANT.search(result.stdout):
            raise Rejected(
                f"{self._table_name()} accepts blocks but nothing drops: the table is dormant; "
                f"run: nft 'add table {self._settings.family} {self._settings.table}'"
            )

    async def change(
        self, version: int, *, remove: Sequence[Element], add: Sequence[Element]
    ) -> None:
        """Remove, then add elements, in one transaction."""
        place = {**self._table(), "name": self._settings.sets[version]}
        commands: list[Any] = []
        if remove:
            commands.append(
                {"delete": {"element": {**place, "elem": [element.value() for element in remove]}}}
            )
        if add:
            commands.append(
                {"add": {"element": {**place, "elem": [element.to_nft() for element in add]}}}
            )
        if commands:
            await self._run_json(commands, writes=True)

    async def _list(
        self, what: dict[str, Any], argv: list[str] | None = None
    ) -> list[dict[str, Any]]:
        command = json.dumps({"nftables": [{"list": what}]}).encode()
        result = await self._run(argv or self._settings.argv, command, writes=False)
        try:
            listed = json.loads(result.stdout)["nftables"]
            return [dict(entry) for entry in listed]
        except (ValueError, KeyError, TypeError):
            message = "nft's answer is not its JSON"
            raise Unavailable(message) from None

    async def _run_json(self, commands: list[Any], *, writes: bool) -> ToolResult:
        return await self._run(
            self._settings.argv, json.dumps({"nftables": commands}).encode(), writes=writes
        )

    async def _run(self, argv: list[str], stdin: bytes, *, writes: bool) -> ToolResult:
        result = await run_tool(
            argv,
            stdin=stdin,
            writes=writes,
            access=self._access,
            timeout=timedelta(seconds=self._settings.timeout_seconds),
            max_output=_MAX_LISTING_BYTES,
        )
        if result.code != 0:
            raise self._refusal(result, writes=writes)
        return result

    def _refusal(self, result: ToolResult, *, writes: bool) -> ActionError:
        """Return the error: a killed nft may have committed, a refused transaction did nothing."""
        text = " ".join(result.stderr.decode("utf-8", "replace").split())[:300]
        if result.code < 0:
            message = f"nft was killed by signal {-result.code}"
            return Unknown(message) if writes else Unavailable(message)
        if "not permitted" in text:
            return Rejected(f"nft lacks permission; run the worker with CAP_NET_ADMIN: {text}")
        if "network namespace" in text:
            return Rejected(
                "netns cannot be entered on the worker's machine; create the namespace before the "
                f"worker starts, or correct the setting: {text}"
            )
        if text.startswith("exec of "):  # by `ip netns exec`
            return Rejected(f"{self._settings.nft} cannot be run; install nftables: {text}")
        if "No such file or directory" in text:
            return Rejected(
                f"{self._table_name()} does not exist as configured; {self._definition()}: {text}"
            )
        if _RACED.search(text):
            return Unavailable(f"the set changed at the same time: {text}")
        return Rejected(f"nft refused: {text}")

    def _check_set(self, found: dict[str, Any], version: int) -> None:
        name, flags = self._settings.sets[version], found.get("flags", [])
        if found.get("type") != _TYPES[version] or "interval" not in flags:
            message = (
                f"set {name!r} is of type {found.get('type')} with flags {flags}; "
                f"{self._definition()}"
            )
            raise Rejected(message)
        if found.get("auto-merge"):
            raise self._merges(version)

    def _merges(self, version: int) -> Rejected:
        name = self._settings.sets[version]
        return Rejected(
            f"set {name!r} merges neighbours (auto-merge), so a single block could not be undone; "
            f"{self._definition()}"
        )

    def _table(self) -> dict[str, str]:
        return {"family": self._settings.family, "table": self._settings.table}

    def _table_name(self) -> str:
        return f"table {self._settings.family} {self._settings.table}"

    def _definition(self) -> str:
        sets = " ".join(
            f"set {self._settings.sets[version]} {{ type {_TYPES[version]}; flags interval; }}"
            for version in self._settings.sets
        )
        return f"define it as {self._table_name()} {{ {sets} }}, and a rule that drops by each"
