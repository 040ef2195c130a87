"""Falcon indicators: the custom IOCs of file hashes, by which a file is banned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from connectors.crowdstrike.client import FalconClient, next_page_of, read_resource, resources_of
from connectors.crowdstrike.planned_changes import HashBan, Indicator
from connectors.sdk.call import TaggedObject, is_tag

_SOURCE = "Tocsin"
"""The `source` of every indicator that this connector creates."""
_HASHES = {"md5", "sha256"}
_PAGE = 500
_SEARCH, _ENTITIES = "/iocs/combined/indicator/v1", "/iocs/entities/indicators/v1"
_BAN: Mapping[str, Any] = {
    "action": "prevent",
    "severity": "high",
    "platforms": ["windows", "mac", "linux"],
    "applied_globally": True,
}


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

    @property
    def is_live(self) -> bool:
        return not (self.expired or self.deleted)


class Indicators:
    """The IOC API of one tenant. Methods raise Unavailable, Rejected, or Unknown for a write."""

    def __init__(self, falcon: FalconClient) -> None:
        self._falcon = falcon

    async def of_hash(self, hash_type: str, value: str) -> Indicator | None:
        """Return the live indicator of a hash, or None."""
        query = {"filter": f"type:'{hash_type}'+value:'{value}'", "limit": "100"}
        reply = await self._falcon.send("GET", _SEARCH, params=query)
        for entry in resources_of(reply):
            ioc = read_resource(_Ioc, entry, reply)
            if (ioc.type, ioc.value.lower()) == (hash_type, value) and ioc.is_live:
                return Indicator.model_validate(ioc.model_dump(include=set(Indicator.model_fields)))
        return None

    async def tagged_bans(self) -> tuple[TaggedObject, ...]:
        """Return the live bans that name Tocsin as their source, one object per tag, in order."""
        bans: list[TaggedObject] = []
        query, after = {"filter": f"source:'{_SOURCE}'", "limit": str(_PAGE)}, ""
        while True:
            page = {**query, "after": after} if after else query
            reply = await self._falcon.send("GET", _SEARCH, params=page)
            iocs = [read_resource(_Ioc, entry, reply) for entry in resources_of(reply)]
            bans += [
                TaggedObject("ban_hash", ioc.value.lower(), tag, ioc.description or "")
                for ioc in iocs
                if ioc.type in _HASHES and ioc.action == "prevent" and ioc.is_live
                for tag in ioc.tags
                if is_tag(tag)
            ]
            after = next_page_of(reply)
            if not after or not iocs:
                return tuple(bans)

    async def create_ban(self, ban: HashBan) -> None:
        """Create an indicator that prevents the file on all platforms and hosts."""
        await self._create(ban, ban.note[:500], {**_BAN, "tags": [ban.tag]})

    async def recreate(self, ban: HashBan, before: Indicator) -> None:
        """Create an indicator like the one that existed before."""
        fields = before.model_dump(mode="json", exclude={"id"}, exclude_none=True)
        await self._create(ban, "put back", fields)

    async def update(self, indicator_id: str, note: str, **fields: Any) -> None:
        """Change fields of an indicator."""
        await self._falcon.send(
            "PATCH",
            _ENTITIES,
            json={"comment": note[:500], "indicators": [{"id": indicator_id, **fields}]},
        )

    async def turn_into_ban(self, indicator_id: str, note: str) -> None:
        """Change an existing indicator into a ban on all platforms and hosts."""
        await self.update(indicator_id, note, **_BAN)

    async def delete(self, indicator_id: str, note: str) -> None:
        """Delete an indicator by id. A `filter` would delete everything that it matches."""
        await self._falcon.send(
            "DELETE", _ENTITIES, params={"ids": indicator_id, "comment": note[:200]}
        )

    async def _create(self, ban: HashBan, comment: str, fields: Mapping[str, Any]) -> None:
        indicator = {
            "type": ban.hash_type,
            "value": ban.hash,
            "source": _SOURCE,
            "description": ban.note[:500],
            **fields,
        }
        await self._falcon.send(
            "POST", _ENTITIES, json={"comment": comment, "indicators": [indicator]}
        )


def is_ban(indicator: Indicator | None) -> bool:
    """Return whether the indicator prevents the file on all platforms and hosts."""
    if indicator is None:
        return False
    return (
        indicator.action == "prevent"
        and indicator.applied_globally
        and set(_BAN["platforms"]) <= set(indicator.platforms)
    )
