"""How a Linux machine blocks: elements in the interval sets that a drop rule uses, changed in one transaction."""

# every method takes what the sdk hands it

from __future__ import annotations

from collections.abc import Sequence

from connectors.capabilities.firewall import AddressInput, Firewall, NetworkInput
from connectors.nftables.intervals import Element, free_parts
from connectors.nftables.planned_changes import SetChange
from connectors.nftables.settings import NftablesSettings
from connectors.nftables.tool import Nft
from connectors.sdk.action import action
from connectors.sdk.call import Call, Tagged, is_tag
from connectors.sdk.connector import Connector
from connectors.sdk.http import HttpClient
from orchestrator.domain.change import Effect
from orchestrator.domain.errors import Rejected
from orchestrator.domain.observable import ObservableType, Target


class Nftables(Connector[NftablesSettings], Firewall):
    """Runs `nft -j -f -` (1.0 or later) on the worker's machine. Elements carry the step's tag as their comment."""

    name = "nftables"
    title = "nftables (Linux)"
    docs = "https://www.netfilter.org/projects/nftables/manpage.html"

    def __init__(self, settings: NftablesSettings, http: HttpClient) -> None:
        super().__init__(settings, http)
        self._nft = Nft(settings, http.access)

    async def check(self) -> str:
        """Lists both sets, and looks whether a rule drops by them."""
        held = {version: await self._nft.elements(version) for version in (4, 6)}
        await self._nft.check_sets()
        idle = sorted(set(self.settings.sets.values()) - await self._nft.enforced())
        counts = ", ".join(
            f"{len(held[version])} elements in {self.settings.sets[version]}" for version in (4, 6)
        )
        warning = (
            f"; no rule in the table drops by {' and '.join(idle)}: add one, or nothing is blocked"
            if idle
            else ""
        )
        return f"table {self.settings.family} {self.settings.table}: {counts}{warning}"

    async def tagged(self) -> tuple[Tagged, ...]:
        """The elements of both sets whose comment is a tag of ours."""
        held = [element for version in (4, 6) for element in await self._nft.elements(version)]
        return tuple(
            Tagged(
                "block_address" if element.first == element.last else "block_network",
                str(element),
                element.comment,
            )
            for element in held
            if element.comment and is_tag(element.comment)
        )

    async def plan_block_address(self, wish: AddressInput, call: Call) -> SetChange:
        """Looks whether the address is in the set, by itself or in a wider element."""
        return await self._plan_block(Target.of(ObservableType.ADDRESS, wish.address), call)

    async def plan_unblock_address(self, wish: AddressInput, call: Call) -> SetChange:
        """Looks for the address's own element. Rejected when only a wider element blocks it."""
        return await self._plan_unblock(Target.of(ObservableType.ADDRESS, wish.address))

    async def plan_block_network(self, wish: NetworkInput, call: Call) -> SetChange:
        """Looks which parts of the network are not in the set yet."""
        return await self._plan_block(Target.of(ObservableType.NETWORK, wish.network), call)

    async def plan_unblock_network(self, wish: NetworkInput, call: Call) -> SetChange:
        """Looks for all elements within the network. Rejected when one reaches beyond it."""
        return await self._plan_unblock(Target.of(ObservableType.NETWORK, wish.network))

    async def undo_change(self, change: SetChange, call: Call) -> None:
        """Puts the set back as it was."""
        await self._bring(change.version, add=change.remove, remove=change.add)

    @action(Effect.CONTAIN, plan=plan_block_address, undo=undo_change, local=True)
    async def block_address(self, change: SetChange, call: Call) -> None:
        """Add the address to the set that the drop rule uses."""
        await self._bring(change.version, add=change.add, remove=change.remove)

    @action(Effect.RESTORE, plan=plan_unblock_address, undo=undo_change, local=True)
    async def unblock_address(self, change: SetChange, call: Call) -> None:
        """Remove the address from the set that the drop rule uses."""
        await self._bring(change.version, add=change.add, remove=change.remove)

    @action(Effect.CONTAIN, plan=plan_block_network, undo=undo_change, local=True)
    async def block_network(self, change: SetChange, call: Call) -> None:
        """Add the parts of the network that are not blocked yet to the set that the drop rule uses."""
        await self._bring(change.version, add=change.add, remove=change.remove)

    @action(Effect.RESTORE, plan=plan_unblock_network, undo=undo_change, local=True)
    async def unblock_network(self, change: SetChange, call: Call) -> None:
        """Remove everything within the network from the set that the drop rule uses."""
        await self._bring(change.version, add=change.add, remove=change.remove)

    async def _plan_block(self, target: Target, call: Call) -> SetChange:
        wanted = Element.of(target.value, comment=call.tag)
        held = await self._nft.elements(wanted.version)
        free = free_parts(wanted, held)
        name = self.settings.sets[wanted.version]
        inside = ", ".join(str(element) for element in held if element.meets(wanted))
        if not free:
            summary = f"{target.value} is already in {name}, as {inside}"
        elif inside:
            summary = (
                f"Add the {len(free)} parts of {target.value} to {name} that are not there yet (there: {inside}"[
                    :490
                ]
                + ")"
            )
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
        held = await self._nft.elements(wanted.version)
        beyond = [
            element for element in held if element.meets(wanted) and not wanted.holds(element)
        ]
        if beyond:
            message = f"{target.value} is blocked as part of {', '.join(map(str, beyond[:5]))}; unblock that"
            raise Rejected(message)
        within = tuple(element for element in held if wanted.holds(element))
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

    async def _bring(
        self, version: int, *, add: Sequence[Element], remove: Sequence[Element]
    ) -> None:
        """Does what of it is still to do: an earlier try may have done it, or somebody else in the meantime."""
        held = await self._nft.elements(version)
        gone = [element for element in held if any(element.same(ours) for ours in remove)]
        kept = [element for element in held if element not in gone]
        new = [element for element in add if free_parts(element, kept)]
        for element in new:
            if clash := next((other for other in kept if other.meets(element)), None):
                message = f"{element} meets {clash}, which came into {self.settings.sets[version]} after the plan; plan again"
                raise Rejected(message)
        await self._nft.change(version, remove=gone, add=new)
