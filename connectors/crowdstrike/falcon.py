"""The Falcon calls themselves: a token that is renewed, errors inside a 200, devices and indicators."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from connectors.crowdstrike.planned_changes import HashBan, Indicator
from connectors.crowdstrike.settings import CrowdStrikeSettings
from connectors.sdk.http import Access, HttpClient, Reply, lost
from orchestrator.domain.errors import Rejected, Unavailable

_RENEW_BEFORE_SECONDS = 60
_HEX_ID = re.compile(r"^[0-9a-f]{32}$")
_HOST_NAME = re.compile(
    r"^[a-z0-9][a-z0-9._-]{0,254}$"
)  # nothing that FQL would read as more than a value
_INDICATORS = "/iocs/entities/indicators/v1"
_MODEL = TypeVar("_MODEL", bound=BaseModel)


class Device(BaseModel):
    """What we read of a device. `status`: normal, containment_pending, contained, lift_containment_pending."""

    model_config = ConfigDict(frozen=True)

    device_id: str
    hostname: str | None = None
    local_ip: str | None = None
    platform_name: str | None = None
    status: str
    last_seen: str | None = None
    tags: tuple[str, ...] = ()


_SOURCE = "Tocsin"
"""What an IOC of ours names as its source."""
_HASHES = {"md5", "sha256"}
_PAGE = 500


class _Ioc(BaseModel):
    id: str
    type: str
    value: str
    action: str
    platforms: tuple[str, ...] = ()
    applied_globally: bool = False
    host_groups: tuple[str, ...] = ()
    severity: str | None = None
    tags: tuple[str, ...] = ()
    description: str | None = None
    expired: bool = False
    deleted: bool = False


class Falcon:
    """One tenant's API. Every method raises Unavailable, Rejected, or (those that change) Unknown."""

    def __init__(self, http: HttpClient, settings: CrowdStrikeSettings) -> None:
        self._http = http
        self._settings = settings
        self._token: str | None = None
        self._token_until = 0.0
        self._lock = asyncio.Lock()

    async def find(self, host: str) -> Device:
        """The device of that id, local address or host name. Rejected when there is none, or more than one."""
        if _HEX_ID.match(host) and (device := await self.device(host)) is not None:
            return device
        if _is_address(host):
            return _only(
                await self._query(f"local_ip:'{host}'"), host, lambda device: device.local_ip
            )
        if not _HOST_NAME.match(host):
            message = f"{host[:80]!r} is neither a Falcon device id nor a host name (letters, digits, dot, hyphen, underscore)"
            raise Rejected(message)
        # FQL matches parts of a name as well, so the names are compared again.
        return _only(
            await self._query(f"hostname:'{host}'"),
            host,
            lambda device: (device.hostname or "").lower().rstrip("."),
        )

    async def _query(self, filter_: str) -> Sequence[Device]:
        found = await self._send(
            "GET", "/devices/queries/devices/v1", params={"filter": filter_, "limit": "100"}
        )
        return await self._devices([str(entry) for entry in _resources(found)])

    async def probe(self) -> str:
        """Tries both scopes, reading; one line of what they show."""
        hosts = await self._send("GET", "/devices/queries/devices/v1", params={"limit": "1"})
        iocs = await self._send("GET", "/iocs/combined/indicator/v1", params={"limit": "1"})
        return f"Falcon answers: {_total(hosts)} hosts, {_total(iocs)} custom indicators"

    async def device(self, device_id: str) -> Device | None:
        """The device of that id, None when there is none."""
        return next(iter(await self._devices([device_id])), None)

    async def act(self, action: str, device_id: str) -> str | None:
        """`contain` or `lift_containment`; None once accepted, or what Falcon objects. The device's status tells what came of it."""
        action_name, body = {"action_name": action}, {"ids": [device_id]}
        reply = await self._send(
            "POST",
            "/devices/entities/devices-actions/v2",
            params=action_name,
            json=body,
            judge=False,
        )
        return "; ".join(words for _, words in _errors(reply)) or None

    async def indicator(self, hash_type: str, value: str) -> Indicator | None:
        """The live IOC of a hash, None when there is none."""
        query = {"filter": f"type:'{hash_type}'+value:'{value}'", "limit": "100"}
        found = await self._send("GET", "/iocs/combined/indicator/v1", params=query)
        iocs = (_read(_Ioc, entry, found) for entry in _resources(found))
        fitting = (
            ioc
            for ioc in iocs
            if (ioc.type, ioc.value.lower()) == (hash_type, value)
            and not (ioc.expired or ioc.deleted)
        )
        return next(
            (
                Indicator.model_validate(ioc.model_dump(include=set(Indicator.model_fields)))
                for ioc in fitting
            ),
            None,
        )

    async def ours(self) -> list[tuple[str, tuple[str, ...], str]]:
        """The live IOCs of hashes that name us as their source and prevent the file: hash, tags, description."""
        found: list[tuple[str, tuple[str, ...], str]] = []
        query, after = {"filter": f"source:'{_SOURCE}'", "limit": str(_PAGE)}, ""
        while True:
            reply = await self._send(
                "GET",
                "/iocs/combined/indicator/v1",
                params={**query, "after": after} if after else query,
            )
            iocs = [_read(_Ioc, entry, reply) for entry in _resources(reply)]
            live = (
                ioc
                for ioc in iocs
                if ioc.type in _HASHES
                and ioc.action == "prevent"
                and not (ioc.expired or ioc.deleted)
            )
            found += [(ioc.value.lower(), ioc.tags, ioc.description or "") for ioc in live]
            after = _after(reply)
            if not after or not iocs:
                return found

    async def create_ban(self, ban: HashBan) -> None:
        """Make an IOC that prevents the file on all platforms and hosts."""
        indicator = {
            "type": ban.hash_type,
            "value": ban.hash,
            **_PREVENT,
            "source": _SOURCE,
            "description": ban.note[:500],
            "tags": [ban.tag],
        }
        await self._send(
            "POST", _INDICATORS, json={"comment": ban.note[:500], "indicators": [indicator]}
        )

    async def recreate(self, ban: HashBan, before: Indicator) -> None:
        """Make an IOC like the one that was there."""
        fields = before.model_dump(mode="json", exclude={"id"}, exclude_none=True)
        indicator = {
            "type": ban.hash_type,
            "value": ban.hash,
            "source": _SOURCE,
            "description": ban.note[:500],
            **fields,
        }
        await self._send(
            "POST", _INDICATORS, json={"comment": "put back", "indicators": [indicator]}
        )

    async def update(self, indicator_id: str, note: str, **fields: Any) -> None:
        """Change fields of an IOC."""
        await self._send(
            "PATCH",
            _INDICATORS,
            json={"comment": note[:500], "indicators": [{"id": indicator_id, **fields}]},
        )

    async def prevent(self, indicator_id: str, note: str) -> None:
        """Turn an IOC that was there into a ban on all platforms and hosts."""
        await self.update(indicator_id, note, **_PREVENT)

    async def delete(self, indicator_id: str, note: str) -> None:
        """Remove an IOC. Only ever by id: a `filter` would delete whatever it matches."""
        await self._send("DELETE", _INDICATORS, params={"ids": indicator_id, "comment": note[:200]})

    async def _devices(self, ids: list[str]) -> list[Device]:
        if not ids:
            return []
        reply = await self._send(
            "POST",
            "/devices/entities/devices/v2",
            json={"ids": ids},
            ok_statuses=(404,),
            judge=False,
        )
        _judge(reply, fine=(404,))  # an id that nobody has
        found = [_read(Device, entry, reply) for entry in _resources(reply)]
        return [device for device in found if device.device_id in ids]

    async def _send(
        self,
        method: str,
        path: str,
        *,
        judge: bool = True,
        ok_statuses: tuple[int, ...] = (),
        **options: Any,
    ) -> Reply:
        """With a token; with a new one when the old one is refused (a 401 is refused before anything is done)."""
        reply = await self._with_token(method, path, ok_statuses=(401, *ok_statuses), **options)
        if reply.status == 401:
            self._token = None
            reply = await self._with_token(method, path, ok_statuses=ok_statuses, **options)
        if judge:
            _judge(reply)
        return reply

    async def _with_token(self, method: str, path: str, **options: Any) -> Reply:
        return await self._http.request(
            method,
            path,
            headers={"Authorization": f"Bearer {await self._valid_token()}"},
            **options,
        )

    async def _valid_token(self) -> str:
        async with self._lock:
            if self._token is None or time.monotonic() > self._token_until:
                self._token, self._token_until = await self._new_token()
            return self._token

    async def _new_token(self) -> tuple[str, float]:
        reply = await self._http.post("/oauth2/token", data=self._credentials())
        answer = reply.json()
        token, seconds = (
            (answer.get("access_token"), answer.get("expires_in", 1799))
            if isinstance(answer, dict)
            else (None, 0)
        )
        if not isinstance(token, str) or not token.isprintable() or not isinstance(seconds, int):
            raise reply.garbage("holds no access token")
        return token, time.monotonic() + max(0, seconds - _RENEW_BEFORE_SECONDS)

    def _credentials(self) -> dict[str, str]:
        """The writing client only where writing is meant, and only when it is there."""
        settings = self._settings
        client, secret = settings.client_id, settings.client_secret
        if (
            self._http.access is Access.WRITE
            and settings.write_client_id
            and settings.write_client_secret
        ):
            client, secret = settings.write_client_id, settings.write_client_secret
        tenant = {"member_cid": settings.member_cid} if settings.member_cid else {}
        return {"client_id": client, "client_secret": secret.get_secret_value(), **tenant}


_PREVENT: Mapping[str, Any] = {
    "action": "prevent",
    "severity": "high",
    "platforms": ["windows", "mac", "linux"],
    "applied_globally": True,
}


def is_ban(indicator: Indicator | None) -> bool:
    """Whether the IOC prevents the file everywhere."""
    if indicator is None:
        return False
    return (
        indicator.action == "prevent"
        and indicator.applied_globally
        and set(_PREVENT["platforms"]) <= set(indicator.platforms)
    )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _only(devices: Sequence[Device], host: str, name: Callable[[Device], str | None]) -> Device:
    match [device for device in devices if name(device) == host]:
        case [device]:
            return device
        case []:
            message = (
                f"Falcon knows no host {host!r}; check the name, and that the sensor is installed"
            )
            raise Rejected(message)
        case several:
            ids = [device.device_id for device in several]
            message = f"{host!r} is the name of {len(ids)} devices, {' and '.join(ids[:5])}; give a device id"
            raise Rejected(message)


def _resources(reply: Reply) -> list[Any]:
    answer = reply.json()
    resources = answer.get("resources") if isinstance(answer, dict) else None
    if not isinstance(answer, dict) or not isinstance(resources, list | None):
        raise reply.garbage("is not a Falcon answer")
    return resources or []


def _total(reply: Reply) -> str:
    meta = reply.json().get("meta")
    paging = meta.get("pagination") if isinstance(meta, dict) else None
    return (
        str(paging["total"])
        if isinstance(paging, dict) and isinstance(paging.get("total"), int)
        else "an unknown number of"
    )


def _after(reply: Reply) -> str:
    """Where the next page begins; empty after the last."""
    paging = (reply.json().get("meta") or {}).get("pagination")
    after = paging.get("after") if isinstance(paging, dict) else None
    return after if isinstance(after, str) else ""


def _judge(reply: Reply, fine: tuple[int, ...] = ()) -> None:
    """Raises for what stands in errors[], also under a 200 or a 202."""
    problems = [(code, words) for code, words in _errors(reply) if code not in fine]
    if not problems:
        return
    code = max(code for code, _ in problems)
    message = f"{reply.place}: refused, under status {reply.status}: {'; '.join(words for _, words in problems)}"
    if code in {429, 503}:
        raise Unavailable(message)
    raise lost(message, writes=reply.writes) if code >= 500 else Rejected(message)


def _errors(reply: Reply) -> list[tuple[int, str]]:
    """Code and words of each error, those of single resources included."""
    answer = reply.json()
    if not isinstance(answer, dict) or "meta" not in answer:
        raise reply.garbage("is not a Falcon answer")
    own = [
        resource
        for resource in _resources(reply)
        if isinstance(resource, dict) and resource.get("message_type") == "error"
    ]
    return [_error(error, reply) for error in [*(answer.get("errors") or []), *own]]


def _error(error: Any, reply: Reply) -> tuple[int, str]:
    fields = error if isinstance(error, dict) else {"message": error}
    code = fields.get("code")
    return code if isinstance(code, int) else 400, reply.redacted(str(fields.get("message", error)))


def _read(model: type[_MODEL], entry: Any, reply: Reply) -> _MODEL:
    try:
        return model.model_validate(entry)
    except ValidationError:
        raise reply.garbage(
            f"holds a {model.__name__.strip('_').lower()} that cannot be read"
        ) from None
