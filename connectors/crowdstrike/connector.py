"""How Falcon isolates hosts and bans files: a containment is asked for, then watched until the device says it is so."""

# every method takes what the sdk hands it

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Literal

import httpx

from connectors.capabilities.edr import Edr, HashInput, HostDetails, HostInput
from connectors.crowdstrike.falcon import Device, Falcon, is_ban
from connectors.crowdstrike.planned_changes import Containment, HashBan
from connectors.crowdstrike.settings import CrowdStrikeSettings
from connectors.sdk.action import action
from connectors.sdk.call import Call, Tagged, is_tag
from connectors.sdk.connector import Connector
from connectors.sdk.http import HttpClient, Reply
from connectors.sdk.plain import JsonObject
from connectors.sdk.rate import RateLimit
from connectors.sdk.reply import bounded_wait
from orchestrator.domain.change import Effect
from orchestrator.domain.errors import Rejected, Unknown
from orchestrator.domain.observable import ObservableType, Target

_ISOLATION: dict[str, Literal["none", "pending", "isolated", "lifting"]] = {
    "containment_pending": "pending",
    "contained": "isolated",
    "lift_containment_pending": "lifting",
}
_HASH_TYPES: dict[int, Literal["md5", "sha256"]] = {32: "md5", 64: "sha256"}
_ONLINE_WITHIN = timedelta(minutes=30)
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
        "isolate_host": "Falcon keeps no tag and no comment with a containment, so a contained host does not show who contained it; "
        "grouping tags would, but put hosts into groups, and with that under other policies"
    }

    def __init__(self, settings: CrowdStrikeSettings, http: HttpClient) -> None:
        super().__init__(settings, http)
        self._falcon = Falcon(http, settings)

    @classmethod
    def is_read(cls, request: httpx.Request) -> bool:
        """GET, and the two POSTs that only ask: for a token, for the details of devices."""
        return super().is_read(request) or (
            request.method == "POST" and request.url.path.endswith(_READS_BY_POST)
        )

    @classmethod
    def retry_after(cls, reply: Reply) -> timedelta | None:
        """X-RateLimit-RetryAfter: a moment, in seconds since the epoch."""
        value = reply.headers.get("X-RateLimit-RetryAfter", "")
        if not value.isdecimal() or len(value) > 11:  # that is past the year 5000
            return None
        return bounded_wait(datetime.fromtimestamp(int(value), UTC) - datetime.now(UTC))

    async def check(self) -> str:
        """Gets a token and looks for one device and one indicator, which tries both scopes."""
        return await self._falcon.probe()

    async def tagged(self) -> tuple[Tagged, ...]:
        """The indicators with a tag of ours that prevent a file."""
        ours = await self._falcon.ours()
        return tuple(
            Tagged("ban_hash", hash_, tag, note)
            for hash_, tags, note in ours
            for tag in tags
            if is_tag(tag)
        )

    @action(Effect.READ)
    async def find_host(self, query: HostInput, call: Call) -> HostDetails:
        """Look a host up by device id, host name or local address."""
        device = await self._falcon.find(query.host)
        return HostDetails(
            id=device.device_id,
            name=device.hostname or device.device_id,
            address=device.local_ip,
            platform=device.platform_name,
            isolation=_ISOLATION.get(device.status, "none"),
            online=_is_online(device),
            last_seen=device.last_seen,
            tags=device.tags,
        )

    async def plan_isolate_host(self, wish: HostInput, call: Call) -> Containment:
        """Looks whether the device is contained, or about to be."""
        device = await self._falcon.find(wish.host)
        due = device.status not in {"contained", "containment_pending"}
        summary = (
            f"Contain {_title(device)}"
            if due
            else f"{_title(device)} is already {device.status.replace('_', ' ')}"
        )
        return _containment(device, due=due, wanted="contained", summary=summary)

    async def plan_release_host(self, wish: HostInput, call: Call) -> Containment:
        """Looks whether the device is contained, or about to be."""
        device = await self._falcon.find(wish.host)
        due = device.status in {"contained", "containment_pending"}
        summary = (
            f"Lift the containment of {_title(device)}"
            if due
            else f"{_title(device)} is not contained"
        )
        return _containment(device, due=due, wanted="normal", summary=summary)

    async def undo_containment(self, containment: Containment, call: Call) -> None:
        """Brings the device back to what it was, and waits for it."""
        await self._bring(
            containment, "normal" if containment.wanted == "contained" else "contained", call
        )

    async def verify_containment(
        self, wish: HostInput, containment: Containment, output: JsonObject, call: Call
    ) -> bool:
        """The device itself says so; pending is not enough."""
        device = await self._falcon.device(containment.device_id)
        return device is not None and device.status == containment.wanted

    @action(
        Effect.CONTAIN,
        plan=plan_isolate_host,
        undo=undo_containment,
        verify=verify_containment,
        slow=True,
    )
    async def isolate_host(self, containment: Containment, call: Call) -> None:
        """Contain the host: it reaches nothing but the CrowdStrike cloud and what the containment policy allows."""
        await self._bring(containment, containment.wanted, call)

    @action(
        Effect.RESTORE,
        plan=plan_release_host,
        undo=undo_containment,
        verify=verify_containment,
        slow=True,
    )
    async def release_host(self, containment: Containment, call: Call) -> None:
        """Lift the containment of the host."""
        await self._bring(containment, containment.wanted, call)

    async def plan_ban_hash(self, wish: HashInput, call: Call) -> HashBan:
        """Looks for an indicator of the hash, and whether it prevents the file everywhere."""
        kind = _hash_type(wish.hash)
        before = await self._falcon.indicator(kind, wish.hash)
        due = not is_ban(before)
        how = f" (its indicator says {before.action} now)" if before and due else ""
        return HashBan(
            target=Target.of(ObservableType.HASH, wish.hash),
            changed=due,
            summary=f"Ban {kind} {wish.hash} on all hosts{how}"
            if due
            else f"{kind} {wish.hash} is already banned",
            hash_type=kind,
            hash=wish.hash,
            banned=True,
            before=before,
            tag=call.tag,
            note=f"{call.tag} {call.reason}",
        )

    async def plan_unban_hash(self, wish: HashInput, call: Call) -> HashBan:
        """Looks for an indicator of the hash that prevents the file."""
        kind = _hash_type(wish.hash)
        before = await self._falcon.indicator(kind, wish.hash)
        due = before is not None and before.action == "prevent"
        return HashBan(
            target=Target.of(ObservableType.HASH, wish.hash),
            changed=due,
            summary=f"Lift the ban of {kind} {wish.hash}"
            if due
            else f"{kind} {wish.hash} is not banned",
            hash_type=kind,
            hash=wish.hash,
            banned=False,
            before=before,
            tag=call.tag,
            note=f"{call.tag} {call.reason}",
        )

    async def undo_ban(self, ban: HashBan, call: Call) -> None:
        """Removes the indicator we made, or gives the one that was there its fields back."""
        now = await self._falcon.indicator(ban.hash_type, ban.hash)
        match (ban.before, now):
            case (None, None):
                return
            case (None, found) if found is not None and ban.tag in found.tags:
                await self._falcon.delete(found.id, f"{call.tag} taken back")
            case (None, _):
                return  # another's by now: not ours to remove
            case (before, None) if before is not None:
                await self._falcon.recreate(ban, before)
            case (before, found) if (
                before is not None
                and found is not None
                and found.model_copy(update={"id": before.id}) != before
            ):
                fields = before.model_dump(mode="json", exclude={"id"}, exclude_none=True)
                await self._falcon.update(found.id, f"{call.tag} taken back", **fields)
            case _:
                return

    @action(Effect.CONTAIN, plan=plan_ban_hash, undo=undo_ban)
    async def ban_hash(self, ban: HashBan, call: Call) -> None:
        """Keep the file from running on all hosts, by a custom indicator (MD5 or SHA-256)."""
        now = await self._falcon.indicator(ban.hash_type, ban.hash)
        if now is None:
            await self._falcon.create_ban(ban)
        elif not is_ban(now):
            await self._falcon.prevent(now.id, ban.note)

    @action(Effect.RESTORE, plan=plan_unban_hash, undo=undo_ban)
    async def unban_hash(self, ban: HashBan, call: Call) -> None:
        """Remove the custom indicator that keeps the file from running."""
        now = await self._falcon.indicator(ban.hash_type, ban.hash)
        if now is not None and now.action == "prevent":
            await self._falcon.delete(now.id, ban.note)

    async def _bring(
        self, containment: Containment, wanted: Literal["contained", "normal"], call: Call
    ) -> None:
        """Asks unless it was asked already, then waits. Unknown when the device does not get there in time."""
        status = await self._status(containment)
        if not _on_the_way(status, wanted):
            problem = await self._falcon.act(
                "contain" if wanted == "contained" else "lift_containment", containment.device_id
            )
            status = await self._status(containment)
            # Falcon objects to containing what is contained: the status decides, not the words.
            if problem and not _on_the_way(status, wanted):
                message = f"Falcon refuses to change the containment of {containment.host_name}: {problem}"
                raise Rejected(message)
        await self._wait(containment, wanted, status, call)

    async def _wait(self, containment: Containment, wanted: str, status: str, call: Call) -> None:
        until = time.monotonic() + self.settings.containment_timeout_seconds
        while status != wanted:
            call.heartbeat({"device": containment.device_id, "status": status})
            if time.monotonic() > until:
                seconds = self.settings.containment_timeout_seconds
                message = f"{containment.host_name} is still {status} after {seconds:g} s; it may be offline"
                raise Unknown(message)
            await asyncio.sleep(self.settings.poll_seconds)
            status = await self._status(containment)

    async def _status(self, containment: Containment) -> str:
        device = await self._falcon.device(containment.device_id)
        if device is None:
            message = f"Falcon no longer knows {containment.host_name} ({containment.device_id})"
            raise Rejected(message)
        return device.status


def _on_the_way(status: str, wanted: str) -> bool:
    return status in (
        {"contained", "containment_pending"}
        if wanted == "contained"
        else {"normal", "lift_containment_pending"}
    )


def _containment(
    device: Device, *, due: bool, wanted: Literal["contained", "normal"], summary: str
) -> Containment:
    name = device.hostname or device.device_id
    return Containment(
        target=Target.of(ObservableType.HOST, name),
        changed=due,
        summary=summary[:500],
        device_id=device.device_id,
        host_name=name,
        wanted=wanted,
    )


def _title(device: Device) -> str:
    seen = "" if _is_online(device) else f", offline since {device.last_seen}"
    return f"{device.hostname or device.device_id} ({device.platform_name or 'unknown platform'}{seen})"


def _is_online(device: Device) -> bool:
    """Falcon says when a sensor last spoke; what it does not say counts as online."""
    try:
        seen = datetime.fromisoformat(device.last_seen or "")
    except ValueError:
        return True
    return datetime.now(UTC) - (seen if seen.tzinfo else seen.replace(tzinfo=UTC)) < _ONLINE_WITHIN


def _hash_type(value: str) -> Literal["md5", "sha256"]:
    kind = _HASH_TYPES.get(len(value))
    if kind is None:
        message = f"Falcon bans MD5 and SHA-256 only, and this is {'SHA-1' if len(value) == 40 else 'SHA-512'}"
        raise Rejected(message)
    return kind
