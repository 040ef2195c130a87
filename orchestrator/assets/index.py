"""An index of an inventory in memory, for those who evaluate many changes against it."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.assets.match import (
    ADDRESS,
    MAX_TIES,
    NETWORK,
    canonical_name,
    name_keys,
    short_name,
    tied_names,
)
from orchestrator.domain.observable import Target
from orchestrator.store.queries.policy_inputs import KnownAsset


class AssetIndex:
    """An inventory in memory with an index, so that not every asset is compared."""

    def __init__(self, inventory: Iterable[KnownAsset]) -> None:
        self._by_short: dict[tuple[str, str], list[KnownAsset]] = {}
        self._with_addresses: list[KnownAsset] = []
        self._networks: list[KnownAsset] = []
        for row in inventory:
            for kind, value in row.names:
                self._by_short.setdefault((kind, short_name(kind, value)), []).append(row)
            if any(kind in {ADDRESS.value, NETWORK.value} for kind, _ in row.names):
                self._with_addresses.append(row)
            if row.type == NETWORK.value:
                self._networks.append(row)

    def candidates(self, target: Target, names: Iterable[str]) -> list[KnownAsset]:
        """Return the assets that may be about a target, for `asset_facts_from`."""
        kind, value = target.type, canonical_name(target.type, target.value) or target.value
        if kind is NETWORK:
            return self._with_addresses
        known, found = {value, *names}, list[KnownAsset]()
        for _ in range(MAX_TIES):
            meant = {
                (each.value, short_name(each.value, name))
                for each, name in name_keys(kind, value, known) or {(kind, value)}
            }
            found = [row for key in sorted(meant) for row in self._by_short.get(key, ())]
            if (tied := tied_names(found)) <= known:
                break
            known |= tied
        return [*found, *self._networks]
