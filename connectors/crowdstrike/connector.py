"""The CrowdStrike Falcon connector: isolates hosts, and bans files by custom indicators."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import ClassVar, Literal

import httpx

from connectors.capabilities.edr import Edr, HashInput, HostDetails, HostInput
from connectors.crowdstrike.client import FalconClient
from connectors.crowdstrike.hosts import Device, Hosts
from connectors.crowdstrike.indicators import Indicators, is_ban
from connectors.crowdstrike.planned_changes import HashBan, HostContainment
from connectors.crowdstrike.settings import CrowdStrikeSettings
from connectors.sdk.action import action
from connectors.sdk.call import ActionCall, JsonObject, TaggedObject
from connectors.sdk.connector import Connector
from connectors.sdk.http import HttpClient
from connectors.sdk.rate_limit import RateLimit
from connectors.sdk.reply import HttpReply, bounded_wait
from orchestrator.domain.change import Effect
from orchestrator.domain.errors import Rejected
from orchestrator.domain.observable import ObservableType, Target

_ISOLATION: dict[str, Literal["none", "pending", "isolated", "lifting"]] = {
    "containment_pending": "pending",
    "contained": "isolated",
    "lift_containment_pending": "lifting",
}
_HASH_TYPES: dict[int, Literal["md5", "sha256"]] = {32: "md5", 64: "sha256"}
_READS_BY_POST = ("/oauth2/token", "/devices/entities/devices/v2")


class CrowdStrike(Connector[CrowdStrikeSettings], Edr):
    """Speaks the Falcon API: OAuth2, Hosts, IOC Management. 6000 requests a minute per tenant."""

    name = "crowdstrike"
    title = "CrowdStrike Falcon"
    docs = (
        "https://falcon.crowdstrike.com/documentation/page/a2a7fc0e/crowdstrike-oauth2-based-apis"
    )
    rate_limit = RateLimit(50)
    untagged: ClassVar = {
        "isolate_host": "Falcon stores no tag or comment with a containment, so a contained host "
        "does not show who contained it; grouping tags would, but they also put hosts into groups "
        "and thereby under other policies"
    }

    def __init__(self, settings: CrowdStrikeSettings, http: HttpClient) -> None:
        super().__init__(settings, http)
        self._falcon = FalconClient(http, settings)
        self._hosts = Hosts(self._falcon, settings)
        self._indicators = Indicators(self._falcon)

    @classmethod
    def is_read(cls, request: httpx.Request) -> bool:
        """Return whether it is a GET, or one of the POSTs for a token and for device details."""
        return super().is_read(request) or (
            request.method == "POST" and request.url.path.endswith(_READS_BY_POST)
        )

    @classmethod
    def retry_after(cls, reply: HttpReply) -> timedelta | None:
        """Return the wait in X-RateLimit-RetryAfter, a time in seconds since the epoch."""
        value = reply.headers.get("X-RateLimit-RetryAfter", "")
        if not value.isdecimal() or len(value) > 11:  # past the year 5000
            return None
        return bounded_wait(datetime.fromtimestamp(int(value), UTC) - datetime.now(UTC))

    async def check(self) -> str:
        """Get a token, one device and one indicator, which tests both scopes."""
        return await self._falcon.probe()

    async def list_tagged(self) -> tuple[TaggedObject, ...]:
        """Return the bans whose indicator carries one of Tocsin's tags."""
        return await self._indicators.tagged_bans()

    @action(Effect.READ)
    async def find_host(self, query: HostInput, call: ActionCall) -> HostDetails:
        """Look up a host by device id, host name (with or without its domain) or local address."""
        device = await self._hosts.find(query.host)
        return HostDetails(
            id=device.device_id,
            name=device.name,
            address=device.local_ip,
            platform=device.platform_name,
            isolation=_ISOLATION.get(device.status, "none"),
            online=device.is_online,
            last_seen=device.last_seen,
            tags=device.tags,
        )

    async def plan_isolate_host(self, inputs: HostInput, call: ActionCall) -> HostContainment:
        """Read whether the device is contained or about to be."""
        device = await self._hosts.find(inputs.host)
        due = device.status not in {"contained", "containment_pending"}
        summary = (
            f"Contain {device.title}"
            if due
            else f"{device.title} is already {device.status.replace('_', ' ')}"
        )
        return _containment(device, due=due, wanted="contained", summary=summary)

    async def plan_release_host(self, inputs: HostInput, call: ActionCall) -> HostContainment:
        """Read whether the device is contained or about to be."""
        device = await self._hosts.find(inputs.host)
        due = device.status in {"contained", "containment_pending"}
        summary = (
            f"Lift the containment of {device.title}" if due else f"{device.title} is not contained"
        )
        return _containment(device, due=due, wanted="normal", summary=summary)

    async def undo_containment(self, containment: HostContainment, call: ActionCall) -> None:
        """Return the device to its previous state, and wait for it."""
        before: Literal["contained", "normal"] = (
            "normal" if containment.wanted == "contained" else "contained"
        )
        await self._hosts.contain(containment, before, call)

    async def verify_containment(
        self, inputs: HostInput, containment: HostContainment, output: JsonObject, call: ActionCall
    ) -> bool:
        """Return whether the device reports the wanted status; pending is not enough."""
        device = await self._hosts.device(containment.device_id)
        return device is not None and device.status == containment.wanted

    @action(
        Effect.CONTAIN,
        plan=plan_isolate_host,
        undo=undo_containment,
        verify=verify_containment,
        slow=True,
    )
    async def isolate_host(self, containment: HostContainment, call: ActionCall) -> None:
        """Isolate the host, except from the CrowdStrike cloud and what its policy allows."""
        await self._hosts.contain(containment, containment.wanted, call)

    @action(
        Effect.RESTORE,
        plan=plan_release_host,
        undo=undo_containment,
        verify=verify_containment,
        slow=True,
    )
    async def release_host(self, containment: HostContainment, call: ActionCall) -> None:
        """Lift the containment of the host."""
        await self._hosts.contain(containment, containment.wanted, call)

    async def plan_ban_hash(self, inputs: HashInput, call: ActionCall) -> HashBan:
        """Read the hash's indicator, and whether it prevents the file on all hosts."""
        kind = _hash_type(inputs.hash)
        before = await self._indicators.of_hash(kind, inputs.hash)
        due = not is_ban(before)
        current = f" (its indicator has action {before.action})" if before and due else ""
        return HashBan(
            target=Target.of(ObservableType.HASH, inputs.hash),
            changed=due,
            summary=f"Ban {kind} {inputs.hash} on all hosts{current}"
            if due
            else f"{kind} {inputs.hash} is already banned",
            hash_type=kind,
            hash=inputs.hash,
            banned=True,
            before=before,
            tag=call.tag,
            note=f"{call.tag} {call.reason}",
        )

    async def plan_unban_hash(self, inputs: HashInput, call: ActionCall) -> HashBan:
        """Read whether an indicator of the hash prevents the file."""
        kind = _hash_type(inputs.hash)
        before = await self._indicators.of_hash(kind, inputs.hash)
        due = before is not None and before.action == "prevent"
        return HashBan(
            target=Target.of(ObservableType.HASH, inputs.hash),
            changed=due,
            summary=f"Lift the ban of {kind} {inputs.hash}"
            if due
            else f"{kind} {inputs.hash} is not banned",
            hash_type=kind,
            hash=inputs.hash,
            banned=False,
            before=before,
            tag=call.tag,
            note=f"{call.tag} {call.reason}",
        )

    async def undo_ban(self, ban: HashBan, call: ActionCall) -> None:
        """Delete the indicator that this change created, or restore the one before it."""
        current = await self._indicators.of_hash(ban.hash_type, ban.hash)
        note = f"{call.tag} undone"
        if ban.before is None:
            # Another's indicator, made since then, stays.
            if current is not None and ban.tag in current.tags:
                await self._indicators.delete(current.id, note)
        elif current is None:
            await self._indicators.recreate(ban, ban.before)
        elif current.model_copy(update={"id": ban.before.id}) != ban.before:
            fields = ban.before.model_dump(mode="json", exclude={"id"}, exclude_none=True)
            await self._indicators.update(current.id, note, **fields)

    @action(Effect.CONTAIN, plan=plan_ban_hash, undo=undo_ban)
    async def ban_hash(self, ban: HashBan, call: ActionCall) -> None:
        """Prevent the file from running on all hosts, by a custom indicator (MD5 or SHA-256)."""
        current = await self._indicators.of_hash(ban.hash_type, ban.hash)
        if current is None:
            await self._indicators.create_ban(ban)
        elif not is_ban(current):
            await self._indicators.turn_into_ban(current.id, ban.note)

    @action(Effect.RESTORE, plan=plan_unban_hash, undo=undo_ban)
    async def unban_hash(self, ban: HashBan, call: ActionCall) -> None:
        """Delete the custom indicator that prevents the file from running."""
        current = await self._indicators.of_hash(ban.hash_type, ban.hash)
        if current is not None and current.action == "prevent":
            await self._indicators.delete(current.id, ban.note)


def _containment(
    device: Device, *, due: bool, wanted: Literal["contained", "normal"], summary: str
) -> HostContainment:
    return HostContainment(
        target=Target.of(ObservableType.HOST, device.name),
        identity=device.device_id,
        changed=due,
        summary=summary[:500],
        device_id=device.device_id,
        host_name=device.name,
        wanted=wanted,
    )


def _hash_type(value: str) -> Literal["md5", "sha256"]:
    kind = _HASH_TYPES.get(len(value))
    if kind is None:
        given = "SHA-1" if len(value) == 40 else "SHA-512"
        message = f"Falcon bans MD5 and SHA-256 only, not {given}; use another hash of the file"
        raise Rejected(message)
    return kind
