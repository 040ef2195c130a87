"""The nftables connector: blocks addresses and networks by elements of interval sets."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.capabilities.firewall import AddressInput, Firewall, NetworkInput
from connectors.nftables.client import NftClient
from connectors.nftables.intervals import Element, free_parts
from connectors.nftables.planned_changes import SetChange
from connectors.nftables.settings import NftablesSettings
from connectors.sdk.action import action
from connectors.sdk.call import ActionCall, TaggedObject, is_tag
from connectors.sdk.connector import Connector
from connectors.sdk.http import HttpClient
from orchestrator.domain.change import Effect
from orchestrator.domain.errors import Rejected
from orchestrator.domain.observable import ObservableType, Target


class Nftables(Connector[NftablesSettings], Firewall):
    """Runs `nft -j -f -` (1.0 or later) on the worker's machine, with the tag as comment."""

    name = "nftables"
    title = "nftables (Linux)"
    docs = "https://www.netfilter.org/projects/nftables/manpage.html"

    def __init__(self, settings: NftablesSettings, http: HttpClient) -> None:
        super().__init__(settings, http)
        self._nft = NftClient(settings, http.access)

    async def check(self) -> str:
        """List the sets, and require rules that drop by them."""
        elements = {version: await self._nft.elements(version) for version in self.settings.sets}
        await self._nft.check_sets()
        await self._nft.check_rules()
        counts = ", ".join(
            f"{len(elements[version])} elements in {name}"
            for version, name in self.settings.sets.items()
        )
        return f"table {self.settings.family} {self.settings.table}: {counts}"

    async def list_tagged(self) -> tuple[TaggedObject, ...]:
        """Return the elements of both sets whose comment is one of Tocsin's tags."""
        elements = [
            element
            for version in self.settings.sets
            for element in await self._nft.elements(version)
        ]
        return tuple(
            TaggedObject(
                "block_address" if element.first == element.last else "block_network",
                str(element),
                element.comment,
            )
            for element in elements
            if element.comment and is_tag(element.comment)
        )

    async def plan_block_address(self, inputs: AddressInput, call: ActionCall) -> SetChange:
        """Read whether an element of the set contains the address."""
        return await self._plan_block(Target.of(ObservableType.ADDRESS, inputs.address), call)

    async def plan_unblock_address(self, inputs: AddressInput, call: ActionCall) -> SetChange:
        """Read the address's own element. Rejected when only a wider element blocks it."""
        return await self._plan_unblock(Target.of(ObservableType.ADDRESS, inputs.address))

    async def plan_block_network(self, inputs: NetworkInput, call: ActionCall) -> SetChange:
        """Read which parts of the network are not in the set yet."""
        return await self._plan_block(Target.of(ObservableType.NETWORK, inputs.network), call)

    async def plan_unblock_network(self, inputs: NetworkInput, call: ActionCall) -> SetChange:
        """Read all elements within the network. Rejected when one extends beyond it."""
        return await self._plan_unblock(Target.of(ObservableType.NETWORK, inputs.network))

    async def undo_block(
        self, change: SetChange, call: ActionCall, keep: tuple[Target, ...]
    ) -> None:
        """Remove what was added, except for what others still hold. One transaction: no gap."""
        elements = await self._nft.elements(change.version)
        held = _elements_of(keep)
        remove: list[Element] = []
        put_back: list[Element] = []
        for element in _parts_of(change.add, elements):
            if lost := free_parts(element, held):
                remove.append(element)
                put_back += free_parts(element, lost)
        await self._nft.change(change.version, remove=remove, add=put_back)

    async def block_is_undone(
        self, change: SetChange, call: ActionCall, keep: tuple[Target, ...]
    ) -> bool:
        """Return whether nothing of what was added is left that no other holds."""
        elements = await self._nft.elements(change.version)
        held = _elements_of(keep)
        return not any(free_parts(part, held) for part in _parts_of(change.add, elements))

    async def undo_unblock(self, change: SetChange, call: ActionCall) -> None:
        """Add what was removed, with its comments and remaining times."""
        await self._add(change.version, change.remove)

    @action(Effect.CONTAIN, plan=plan_block_address, undo=undo_block, undone=block_is_undone)
    async def block_address(self, change: SetChange, call: ActionCall) -> None:
        """Add the address to the set that the drop rule uses."""
        await self._add(change.version, change.add)

    @action(Effect.RESTORE, plan=plan_unblock_address, undo=undo_unblock)
    async def unblock_address(self, change: SetChange, call: ActionCall) -> None:
        """Remove the address from the set that the drop rule uses."""
        await self._remove(change.version, change.remove)

    @action(Effect.CONTAIN, plan=plan_block_network, undo=undo_block, undone=block_is_undone)
    async def block_network(self, change: SetChange, call: ActionCall) -> None:
        """Add the parts of the network that are not blocked yet to the set of the drop rule."""
        await self._add(change.version, change.add)

    @action(Effect.RESTORE, plan=plan_unblock_network, undo=undo_unblock)
    async def unblock_network(self, change: SetChange, call: ActionCall) -> None:
        """Remove everything within the network from the set that the drop rule uses."""
        await self._remove(change.version, change.remove)

    async def _plan_block(self, target: Target, call: ActionCall) -> SetChange:
        wanted = Element.of(target.value, comment=call.tag)
        elements = await self._nft.elements(wanted.version)
        free = free_parts(wanted, elements)
        name = self.settings.sets[wanted.version]
        present = ", ".join(str(element) for element in elements if element.overlaps(wanted))
        if not free:
            summary = f"{target.value} is already in {name}, as {present}"
        elif present:
            summary = f"Add the {len(free)} missing parts of {target.value} to {name} (present: "
            summary = f"{summary}{present}"[:490] + ")"
        else:
            summary = f"Add {target.value} to {name}"
        return SetChange(
            target=target,
            changed=bool(free),
            summary=summary[:500],
            version=wanted.version,
            add=free,
        )

    async def _plan_unblock(self, target: Target) -> SetChange:
        wanted = Element.of(target.value)
        elements = await self._nft.elements(wanted.version)
        beyond = [
            element
            for element in elements
            if element.overlaps(wanted) and not wanted.contains(element)
        ]
        if beyond:
            wider = ", ".join(map(str, beyond[:5]))
            message = f"{target.value} is blocked as part of {wider}; unblock that instead"
            raise Rejected(message)
        within = tuple(element for element in elements if wanted.contains(element))
        name = self.settings.sets[wanted.version]
        summary = (
            f"Remove {', '.join(map(str, within[:10]))} from {name}"
            if within
            else f"{target.value} is not in {name}"
        )
        return SetChange(
            target=target,
            changed=bool(within),
            summary=summary[:500],
            version=wanted.version,
            remove=within,
        )

    async def _add(self, version: int, wanted: Sequence[Element]) -> None:
        """Add what no element of the set blocks by now: others may have added since the plan."""
        elements = await self._nft.elements(version)
        missing = [part for element in wanted for part in free_parts(element, elements)]
        await self._nft.change(version, remove=(), add=missing)

    async def _remove(self, version: int, planned: Sequence[Element]) -> None:
        """Remove what is left of these elements. One that was added since the plan stays."""
        elements = await self._nft.elements(version)
        await self._nft.change(version, remove=_parts_of(planned, elements), add=())


def _parts_of(wholes: Sequence[Element], elements: Sequence[Element]) -> list[Element]:
    return [element for element in elements if any(map(element.is_part_of, wholes))]


def _elements_of(targets: Sequence[Target]) -> list[Element]:
    return [Element.of(target.value) for target in targets]
