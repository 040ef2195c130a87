"""How a PAN-OS firewall blocks: addresses by User-ID tags, at once; networks by address objects and a commit."""

# every method takes what the sdk hands it

from __future__ import annotations

import contextlib
from collections import Counter
from typing import Any
from urllib.parse import parse_qsl
from xml.etree import ElementTree as ET

import httpx

from connectors.capabilities.firewall import AddressInput, Firewall, NetworkInput
from connectors.palo_alto.panos import PanOs
from connectors.palo_alto.planned_changes import (
    AddressTags,
    GroupMember,
    covering,
    network_of,
    object_name,
)
from connectors.palo_alto.settings import PaloAltoSettings
from connectors.sdk.action import action
from connectors.sdk.call import Call, Tagged, is_tag
from connectors.sdk.connector import Connector
from connectors.sdk.http import Access, HttpClient
from connectors.sdk.rate import RateLimit
from orchestrator.domain.change import Effect
from orchestrator.domain.errors import ActionError, Rejected
from orchestrator.domain.observable import ObservableType, Target


class PaloAlto(Connector[PaloAltoSettings], Firewall):
    """Speaks the PAN-OS XML API (`/api/`), 9.0 and later. One commit at a time: a lock is waited out by the engine."""

    name = "palo_alto"
    title = "Palo Alto Networks firewall (PAN-OS)"
    docs = "https://docs.paloaltonetworks.com/pan-os/11-1/pan-os-panorama-api"
    rate_limit = RateLimit(20)

    def __init__(self, settings: PaloAltoSettings, http: HttpClient) -> None:
        super().__init__(settings, http)
        self._panos = PanOs(http, settings)

    @classmethod
    def is_read(cls, request: httpx.Request) -> bool:
        """Told by the parameters, in the query or in the body: GET and POST mean the same to PAN-OS."""
        return _only_reads(_parameters(request))

    @classmethod
    def headers(cls, settings: PaloAltoSettings, access: Access) -> dict[str, str]:
        """The key goes in a header, never in the URL, where logs would keep it."""
        key = (
            settings.write_api_key
            if access is Access.WRITE and settings.write_api_key
            else settings.api_key
        )
        return {"X-PAN-KEY": key.get_secret_value()}

    async def check(self) -> str:
        """Reads the system information, and the network group where networks are to be blocked."""
        system = await self._panos.system()
        if self.settings.admin is None:
            return f"{system}; addresses only, because `admin` is not set"
        return (
            f"{system}; {len(await self._panos.members())} members in {self.settings.network_group}"
        )

    async def tagged(self) -> tuple[Tagged, ...]:
        """Addresses with a tag of ours, and members of the network group that are objects of ours."""
        addresses = await self._panos.registered()
        ours = [
            Tagged("block_address", address, tag)
            for address, tags in addresses
            for tag in tags
            if is_tag(tag)
        ]
        if self.settings.admin is None:
            return tuple(ours)
        networks = [(name, network_of(name)) for name in await self._panos.members()]
        return (
            *ours,
            *(Tagged("block_network", str(network), name) for name, network in networks if network),
        )

    async def plan_block_address(self, wish: AddressInput, call: Call) -> AddressTags:
        """Looks whether the address carries the tag of the deny rule."""
        blocked = self.settings.tag in await self._panos.tags_of(wish.address)
        return AddressTags(
            target=Target.of(ObservableType.ADDRESS, wish.address),
            changed=not blocked,
            summary=f"{wish.address} is already tagged {self.settings.tag}"
            if blocked
            else f"Block {wish.address} (by the tag {self.settings.tag})",
            address=wish.address,
            add=() if blocked else (self.settings.tag, call.tag),
        )

    async def plan_unblock_address(self, wish: AddressInput, call: Call) -> AddressTags:
        """Looks which of our tags the address carries."""
        tags = await self._panos.tags_of(wish.address)
        blocked = self.settings.tag in tags
        return AddressTags(
            target=Target.of(ObservableType.ADDRESS, wish.address),
            changed=blocked,
            summary=f"Take {self.settings.tag} off {wish.address}"
            if blocked
            else f"{wish.address} is not tagged {self.settings.tag}",
            address=wish.address,
            remove=tuple(tag for tag in tags if tag == self.settings.tag or is_tag(tag))
            if blocked
            else (),
        )

    async def undo_tags(self, tags: AddressTags, call: Call) -> None:
        """Puts the tags back as they were."""
        await self._retag(tags.address, add=tags.remove, remove=tags.add)

    @action(Effect.CONTAIN, plan=plan_block_address, undo=undo_tags)
    async def block_address(self, tags: AddressTags, call: Call) -> None:
        """Tag the address, so that the deny rule's dynamic address group holds it; takes effect at once."""
        await self._retag(tags.address, add=tags.add, remove=tags.remove)

    @action(Effect.RESTORE, plan=plan_unblock_address, undo=undo_tags)
    async def unblock_address(self, tags: AddressTags, call: Call) -> None:
        """Take the deny rule's tag off the address."""
        await self._retag(tags.address, add=tags.add, remove=tags.remove)

    async def plan_block_network(self, wish: NetworkInput, call: Call) -> GroupMember:
        """Looks whether the running configuration's group holds the network, or one around it."""
        holder = covering(wish.network, await self._committable_members())
        group = self.settings.network_group
        summary = (
            f"{wish.network} is already in {group}, as {holder}"
            if holder
            else f"Put {wish.network} in {group} and commit"
        )
        return self._member(
            wish,
            present=True,
            changed=holder is None,
            note=f"{call.tag} {call.reason}",
            summary=summary,
        )

    async def plan_unblock_network(self, wish: NetworkInput, call: Call) -> GroupMember:
        """Looks whether the network's own object is in the group. Rejected when only a wider network blocks it."""
        members, group = await self._committable_members(), self.settings.network_group
        there = object_name(wish.network) in members
        if not there and (holder := covering(wish.network, members)):
            message = f"{wish.network} is blocked as part of {holder}; unblock {holder}"
            raise Rejected(message)
        summary = (
            f"Take {wish.network} out of {group} and commit"
            if there
            else f"{wish.network} is not in {group}"
        )
        return self._member(
            wish, present=False, changed=there, note=f"{call.tag} {call.reason}", summary=summary
        )

    async def undo_member(self, member: GroupMember, call: Call) -> None:
        """Puts the group back as it was, and commits."""
        await self._regroup(member, call, present=not member.present)

    @action(Effect.CONTAIN, plan=plan_block_network, undo=undo_member, slow=True)
    async def block_network(self, member: GroupMember, call: Call) -> None:
        """Put the network in the deny rule's address group and commit."""
        await self._regroup(member, call, present=member.present)

    @action(Effect.RESTORE, plan=plan_unblock_network, undo=undo_member, slow=True)
    async def unblock_network(self, member: GroupMember, call: Call) -> None:
        """Take the network out of the deny rule's address group and commit."""
        await self._regroup(member, call, present=member.present)

    async def _retag(self, address: str, *, add: tuple[str, ...], remove: tuple[str, ...]) -> None:
        if add:
            await self._panos.register(address, add)
        if remove:
            await self._panos.unregister(address, remove)

    async def _committable_members(self) -> tuple[str, ...]:
        if self.settings.admin is None:
            message = "networks need a commit: set `admin`, the administrator behind the write key, so that only its changes are committed"
            raise Rejected(message)
        return await self._panos.members()

    async def _regroup(self, member: GroupMember, call: Call, *, present: bool) -> None:
        await self._arrange(member, present=present)
        try:
            await self._panos.commit(call)
        except Rejected:
            # Or the next commit of anyone would carry out what this step is going to call failed.
            with contextlib.suppress(ActionError):
                await self._arrange(member, present=not present)
            raise

    async def _arrange(self, member: GroupMember, *, present: bool) -> None:
        if present:
            await self._panos.put_in_group(member.object_name, member.network, member.note)
        else:
            await self._panos.take_from_group(member.object_name)

    def _member(self, wish: NetworkInput, **fields: Any) -> GroupMember:
        target = Target.of(ObservableType.NETWORK, wish.network)
        return GroupMember(
            target=target, network=wish.network, object_name=object_name(wish.network), **fields
        )


def _parameters(request: httpx.Request) -> dict[str, str] | None:
    """The parameters of a request; None when one is given twice or the body is no form, because then nobody knows which counts."""
    pairs = list(request.url.params.multi_items())
    if request.content:
        if not request.headers.get("content-type", "").startswith(
            "application/x-www-form-urlencoded"
        ):
            return None
        pairs += parse_qsl(request.content.decode("latin-1"), keep_blank_values=True)
    if any(count > 1 for count in Counter(name for name, _ in pairs).values()):
        return None
    return dict(pairs)


def _only_reads(parameters: dict[str, str] | None) -> bool:
    match parameters:
        case {"type": "op", "cmd": command}:
            return _is_show(command)
        case {"type": "config", "action": "get" | "show"}:
            return True
        case {"type": "version"}:
            return True
        case _:
            return False


def _is_show(command: str) -> bool:
    try:
        return "<!" not in command and ET.fromstring(command).tag == "show"  # noqa: S314  # our own command, declarations refused
    except ET.ParseError:
        return False
