"""Falcon hosts: finding a device, and bringing its network containment to a wanted state."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict

from connectors.crowdstrike.client import (
    FalconClient,
    errors_of,
    raise_for_errors,
    read_resource,
    resources_of,
)
from connectors.crowdstrike.planned_changes import HostContainment
from connectors.crowdstrike.settings import CrowdStrikeSettings
from connectors.sdk.call import ActionCall
from orchestrator.domain.errors import Rejected, Unknown

_HEX_ID = re.compile(r"^[0-9a-f]{32}$")
_HOST_NAME = re.compile(r"^[a-z0-9][a-z0-9._-]{0,254}$")  # no character that FQL interprets
_ONLINE_WITHIN = timedelta(minutes=30)


class Device(BaseModel):
    """A host with a Falcon sensor. Other fields of the API are ignored."""

    model_config = ConfigDict(frozen=True)

    device_id: str
    hostname: str | None = None
    local_ip: str | None = None
    platform_name: str | None = None
    status: str
    """normal, containment_pending, contained or lift_containment_pending."""
    last_seen: str | None = None
    machine_domain: str | None = None
    """The domain that the host is joined to, such as corp.example; None of most Linux hosts."""
    tags: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The host name, or the device id of a device without one."""
        return self.hostname or self.device_id

    def is_named(self, host: str) -> bool:
        """Return whether that is its host name. Falcon ignores case and keeps a trailing dot."""
        return (self.hostname or "").lower().rstrip(".") == host

    def is_in_domain(self, domain: str) -> bool:
        """Return whether it may be in a DNS domain: its own is that one, or not a DNS domain."""
        own = (self.machine_domain or "").lower().rstrip(".")
        return "." not in own or own == domain

    @property
    def is_online(self) -> bool:
        """Whether the sensor reported in the last 30 minutes; True if Falcon gives no time."""
        try:
            last = datetime.fromisoformat(self.last_seen or "")
        except ValueError:
            return True
        last = last if last.tzinfo else last.replace(tzinfo=UTC)
        return datetime.now(UTC) - last < _ONLINE_WITHIN

    @property
    def title(self) -> str:
        """Name, platform and, for an offline host, when it was last online."""
        offline = "" if self.is_online else f", offline since {self.last_seen}"
        return f"{self.name} ({self.platform_name or 'unknown platform'}{offline})"


class Hosts:
    """The Hosts API of one tenant. Methods raise Unavailable, Rejected, or Unknown for a write."""

    def __init__(self, falcon: FalconClient, settings: CrowdStrikeSettings) -> None:
        self._falcon = falcon
        self._settings = settings

    async def find(self, host: str) -> Device:
        """Return the device with that device id, local address or host name.

        A name with a domain also finds the device whose own name has none, unless that is joined to
        another domain. Raises Rejected when no device or more than one matches.
        """
        if _HEX_ID.match(host) and (device := await self.device(host)) is not None:
            return device
        if _is_address(host):
            devices = await self._query(f"local_ip:'{host}'")
            return _only([device for device in devices if device.local_ip == host], host)
        if not _HOST_NAME.match(host):
            message = (
                f"{host[:80]!r} is neither a Falcon device id nor a host name "
                "(letters, digits, dot, hyphen, underscore)"
            )
            raise Rejected(message)
        found = await self._named(host)
        short, _, domain = host.partition(".")
        if not found and domain:
            found = [each for each in await self._named(short) if each.is_in_domain(domain)]
        return _only(found, host)

    async def _named(self, host: str) -> list[Device]:
        # FQL matches parts of a name as well, so the names are compared again.
        devices = await self._query(f"hostname:'{host}'")
        return [device for device in devices if device.is_named(host)]

    async def device(self, device_id: str) -> Device | None:
        """Return the device with that id, or None."""
        return next(iter(await self._devices([device_id])), None)

    async def contain(
        self, containment: HostContainment, wanted: Literal["contained", "normal"], call: ActionCall
    ) -> None:
        """Bring the device to `wanted` and wait until it reports that status.

        Raises Rejected when Falcon refuses, Unknown when the device does not get there in time.
        """
        status = await self._status(containment)
        if not _is_on_the_way(status, wanted):
            problem = await self._act(
                "contain" if wanted == "contained" else "lift_containment", containment.device_id
            )
            status = await self._status(containment)
            # Falcon refuses to contain a contained host: the status decides, not the error.
            if problem and not _is_on_the_way(status, wanted):
                message = (
                    f"Falcon refuses to change the containment of {containment.host_name}: "
                    f"{problem}"
                )
                raise Rejected(message)
        await self._wait(containment, wanted, status, call)

    async def _act(self, action: str, device_id: str) -> str | None:
        """Request `contain` or `lift_containment`; return Falcon's objections, None if accepted."""
        reply = await self._falcon.send(
            "POST",
            "/devices/entities/devices-actions/v2",
            params={"action_name": action},
            json={"ids": [device_id]},
            raise_errors=False,
        )
        return "; ".join(text for _, text in errors_of(reply)) or None

    async def _wait(
        self, containment: HostContainment, wanted: str, status: str, call: ActionCall
    ) -> None:
        until = time.monotonic() + self._settings.containment_timeout_seconds
        while status != wanted:
            call.heartbeat({"device": containment.device_id, "status": status})
            if time.monotonic() > until:
                seconds = self._settings.containment_timeout_seconds
                message = (
                    f"{containment.host_name} is still {status} after {seconds:g} s; "
                    "it may be offline"
                )
                raise Unknown(message)
            await asyncio.sleep(self._settings.poll_seconds)
            status = await self._status(containment)

    async def _status(self, containment: HostContainment) -> str:
        device = await self.device(containment.device_id)
        if device is None:
            message = f"Falcon no longer knows {containment.host_name} ({containment.device_id})"
            raise Rejected(message)
        return device.status

    async def _query(self, fql: str) -> Sequence[Device]:
        reply = await self._falcon.send(
            "GET", "/devices/queries/devices/v1", params={"filter": fql, "limit": "100"}
        )
        return await self._devices([str(entry) for entry in resources_of(reply)])

    async def _devices(self, ids: list[str]) -> list[Device]:
        if not ids:
            return []
        reply = await self._falcon.send(
            "POST",
            "/devices/entities/devices/v2",
            json={"ids": ids},
            ok_statuses=(404,),
            raise_errors=False,
        )
        raise_for_errors(reply, ignore=(404,))  # an unknown id
        devices = [read_resource(Device, entry, reply) for entry in resources_of(reply)]
        return [device for device in devices if device.device_id in ids]


def _is_on_the_way(status: str, wanted: str) -> bool:
    return status in (
        {"contained", "containment_pending"}
        if wanted == "contained"
        else {"normal", "lift_containment_pending"}
    )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _only(devices: Sequence[Device], host: str) -> Device:
    match devices:
        case [device]:
            return device
        case []:
            message = (
                f"Falcon knows no host {host!r}; check the name, and that the sensor is installed"
            )
            raise Rejected(message)
        case _:
            ids = [device.device_id for device in devices]
            message = (
                f"{host!r} is the name of {len(ids)} devices, {' and '.join(ids[:5])}; "
                "use a device id"
            )
            raise Rejected(message)
