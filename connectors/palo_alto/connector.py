"""The PAN-OS connector: blocks addresses by User-ID tags, and networks by address objects."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import Any
from urllib.parse import parse_qsl
from xml.etree import ElementTree as ET

import httpx

from connectors.capabilities.firewall import AddressInput, Firewall, NetworkInput
from connectors.palo_alto.client import PanOsClient
from connectors.palo_alto.planned_changes import (
    GroupMemberChange,
    TagChange,
    covering,
    network_of,
    object_name,
)
from connectors.palo_alto.settings import PaloAltoSettings
from connectors.sdk.action import action
from connectors.sdk.call import ActionCall, TaggedObject, is_tag
from connectors.sdk.connector import Connector
from connectors.sdk.http import HttpClient
from connectors.sdk.rate_limit import RateLimit
from connectors.sdk.transport import Access
from orchestrator.domain.change import Effect
from orchestrator.domain.errors import ActionError, Rejected
from orchestrator.domain.observable import ObservableType, Target


class PaloAlto(Connector[PaloAltoSettings], Firewall):
    """Speaks the PAN-OS XML API (`/api/`), 9.0 and later. The engine waits for a commit lock."""

    name = "palo_alto"
    title = "Palo Alto Networks firewall (PAN-OS)"
    docs = "https://docs.paloaltonetworks.com/pan-os/11-1/pan-os-panorama-api"
    rate_limit = RateLimit(20)

    def __init__(self, settings: PaloAltoSettings, http: HttpClient) -> None:
        super().__init__(settings, http)
        self._panos = PanOsClient(http, settings)

    @classmethod
    def is_read(cls, request: httpx.Request) -> bool:
        """Return whether the parameters, in query or body, only read; the method may be any."""
        return _only_reads(_parameters(request))

    @classmethod
    def headers(cls, settings: PaloAltoSettings, access: Access) -> dict[str, str]:
        """Return the API key as a header; in the URL, logs would record it."""
        key = (
            settings.write_api_key
            if access is Access.WRITE and settings.write_api_key
            else settings.api_key
        )
        return {"X-PAN-KEY": key.get_secret_value()}

    async def check(self) -> str:
        """Read the system information, and the network group if networks can be blocked."""
        system = await self._panos.system()
        if self.settings.admin is None:
            return f"{system}; addresses only, because `admin` is not set"
        return (
            f"{system}; {len(await self._panos.members())} members in {self.settings.network_group}"
        )

    async def list_tagged(self) -> tuple[TaggedObject, ...]:
        """Return tagged addresses, and the group members that this connector created."""
        addresses = tuple(
            TaggedObject("block_address", address, tag)
            for address, tags in await self._panos.registered()
            for tag in tags
            if is_tag(tag)
        )
        if self.settings.admin is None:
            return addresses
        networks = [(name, network_of(name)) for name in await self._panos.members()]
        return (
            *addresses,
            *(
                TaggedObject("block_network", str(network), name)
                for name, network in networks
                if network
            ),
        )

    async def plan_block_address(self, inputs: AddressInput, call: ActionCall) -> TagChange:
        """Read whether the address has the tag of the deny rule."""
        blocked = self.settings.tag in await self._panos.tags_of(inputs.address)
        return TagChange(
            target=Target.of(ObservableType.ADDRESS, inputs.address),
            changed=not blocked,
            summary=f"{inputs.address} is already tagged {self.settings.tag}"
            if blocked
            else f"Block {inputs.address} (by the tag {self.settings.tag})",
            address=inputs.address,
            add=() if blocked else (self.settings.tag, call.tag),
        )

    async def plan_unblock_address(self, inputs: AddressInput, call: ActionCall) -> TagChange:
        """Read the tags of the address."""
        tags = await self._panos.tags_of(inputs.address)
        blocked = self.settings.tag in tags
        return TagChange(
            target=Target.of(ObservableType.ADDRESS, inputs.address),
            changed=blocked,
            summary=f"Unblock {inputs.address} (remove the tag {self.settings.tag})"
            if blocked
            else f"{inputs.address} is not tagged {self.settings.tag}",
            address=inputs.address,
            remove=tuple(tag for tag in tags if tag == self.settings.tag or is_tag(tag))
            if blocked
            else (),
        )

    async def undo_tags(self, tags: TagChange, call: ActionCall) -> None:
        """Unregister the tags that were registered, and the reverse."""
        await self._retag(tags.address, add=tags.remove, remove=tags.add)

    @action(Effect.CONTAIN, plan=plan_block_address, undo=undo_tags)
    async def block_address(self, tags: TagChange, call: ActionCall) -> None:
        """Tag the address for the dynamic address group of the deny rule; effective at once."""
        await self._retag(tags.address, add=tags.add, remove=tags.remove)

    @action(Effect.RESTORE, plan=plan_unblock_address, undo=undo_tags)
    async def unblock_address(self, tags: TagChange, call: ActionCall) -> None:
        """Remove the tag of the deny rule from the address."""
        await self._retag(tags.address, add=tags.add, remove=tags.remove)

    async def plan_block_network(self, inputs: NetworkInput, call: ActionCall) -> GroupMemberChange:
        """Read whether the running configuration's group contains the network.

        A wider member does not count: each network has its own object, so that it stays blocked
        when the wider one is removed.
        """
        members, group = await self._committable_members(), self.settings.network_group
        present, wider = object_name(inputs.network) in members, covering(inputs.network, members)
        summary = (
            f"{inputs.network} is already in {group}"
            if present
            else f"Add {inputs.network} to {group} and commit"
            + (f" (already blocked as part of {wider})" if wider else "")
        )
        return self._member(
            inputs,
            present=True,
            changed=not present,
            note=f"{call.tag} {call.reason}",
            summary=summary,
        )

    async def plan_unblock_network(
        self, inputs: NetworkInput, call: ActionCall
    ) -> GroupMemberChange:
        """Read whether the group has the network. Rejected when a wider one blocks it too."""
        members, group = await self._committable_members(), self.settings.network_group
        own = object_name(inputs.network)
        present = own in members
        if wider := covering(inputs.network, tuple(name for name in members if name != own)):
            message = f"{inputs.network} is blocked as part of {wider}; unblock {wider}"
            raise Rejected(message)
        summary = (
            f"Remove {inputs.network} from {group} and commit"
            if present
            else f"{inputs.network} is not in {group}"
        )
        return self._member(
            inputs,
            present=False,
            changed=present,
            note=f"{call.tag} {call.reason}",
            summary=summary,
        )

    async def undo_member(self, member: GroupMemberChange, call: ActionCall) -> None:
        """Restore the group's previous member list and commit."""
        await self._regroup(member, call, present=not member.present)

    @action(Effect.CONTAIN, plan=plan_block_network, undo=undo_member, slow=True)
    async def block_network(self, member: GroupMemberChange, call: ActionCall) -> None:
        """Add the network to the deny rule's address group and commit."""
        await self._regroup(member, call, present=member.present)

    @action(Effect.RESTORE, plan=plan_unblock_network, undo=undo_member, slow=True)
    async def unblock_network(self, member: GroupMemberChange, call: ActionCall) -> None:
        """Remove the network from the deny rule's address group and commit."""
        await self._regroup(member, call, present=member.present)

    async def _retag(self, address: str, *, add: tuple[str, ...], remove: tuple[str, ...]) -> None:
        if add:
            await self._panos.register(address, add)
        if remove:
            await self._panos.unregister(address, remove)

    async def _committable_members(self) -> tuple[str, ...]:
        if self.settings.admin is None:
            message = (
                "networks need a commit: set `admin`, the administrator of the write key, "
                "so that only its changes are committed"
            )
            raise Rejected(message)
        return await self._panos.members()

    async def _regroup(self, member: GroupMemberChange, call: ActionCall, *, present: bool) -> None:
        await self._set_candidate(member, present=present)
        try:
            await self._panos.commit(call)
        except Rejected:
            # Otherwise the next commit of any administrator would apply this failed change.
            with contextlib.suppress(ActionError):
                await self._set_candidate(member, present=not present)
            raise

    async def _set_candidate(self, member: GroupMemberChange, *, present: bool) -> None:
        if present:
            await self._panos.add_to_group(member.object_name, member.network, member.note)
        else:
            await self._panos.remove_from_group(member.object_name)

    def _member(self, inputs: NetworkInput, **fields: Any) -> GroupMemberChange:
        target = Target.of(ObservableType.NETWORK, inputs.network)
        return GroupMemberChange(
            target=target, network=inputs.network, object_name=object_name(inputs.network), **fields
        )


def _parameters(request: httpx.Request) -> dict[str, str] | None:
    """Return a request's parameters, None when one occurs twice or the body is not a form."""
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
