"""What VirusTotal says of an address, a domain, a URL, a file: read only, nothing is ever submitted."""

from __future__ import annotations

import base64
import re
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from connectors.capabilities.reputation import (
    AddressQuery,
    DomainQuery,
    HashQuery,
    Reputation,
    UrlQuery,
    Verdict,
)
from connectors.sdk.action import action
from connectors.sdk.call import Call
from connectors.sdk.connector import Connector
from connectors.sdk.http import Access, Reply
from connectors.virustotal.inside import is_internal_address, is_internal_name, is_internal_url
from connectors.virustotal.settings import VirusTotalSettings
from orchestrator.domain.change import Effect
from orchestrator.domain.errors import ActionError, Rejected

_GUI = "https://www.virustotal.com/gui"
_UNSEEN = Verdict(known=False, malicious=0, suspicious=0, harmless=0, undetected=0)
_NOT_FOUND = 404
_SHA512 = 128  # hex digits
_WELL_KNOWN = "8.8.8.8"
_QUOTA_ENDS = timedelta(
    minutes=1
)  # the shortest quota is per minute, and the API does not say when it begins anew


class VirusTotal(Connector[VirusTotalSettings], Reputation):
    """Speaks the VirusTotal API v3, `GET` alone: a URL is looked up by its identifier, which never has it scanned.

    How many requests a minute are allowed depends on the key, so the limit is VirusTotal's to say: 429 is `Unavailable`.
    """

    name = "virustotal"
    title = "VirusTotal"
    docs = "https://docs.virustotal.com/reference/overview"

    @classmethod
    def headers(cls, settings: VirusTotalSettings, access: Access) -> dict[str, str]:  # noqa: ARG003  # one key for all
        """The API key."""
        return {"x-apikey": settings.api_key.get_secret_value()}

    @classmethod
    def retry_after(cls, reply: Reply) -> timedelta | None:
        """A minute for a used-up quota, which comes without Retry-After."""
        used_up = _error_code(reply) in {"QuotaExceededError", "TooManyRequestsError"}
        return _QUOTA_ENDS if used_up and "Retry-After" not in reply.headers else None

    async def check(self) -> str:
        """Looks up one well-known address; takes one request of the quota."""
        verdict = await self._verdict(f"ip_addresses/{_WELL_KNOWN}", None)
        return f"the key is accepted; {_WELL_KNOWN} is called malicious by {verdict.malicious}"

    @action(Effect.READ)
    async def lookup_address(self, query: AddressQuery, call: Call) -> Verdict:
        """What the engines say of an IP address; an internal one is not sent out."""
        if is_internal_address(query.address):
            return _UNSEEN
        return await self._verdict(
            f"ip_addresses/{quote(query.address, safe='')}", f"ip-address/{query.address}"
        )

    @action(Effect.READ)
    async def lookup_domain(self, query: DomainQuery, call: Call) -> Verdict:
        """What the engines say of a domain; an internal one is not sent out."""
        if is_internal_name(query.domain, self.settings.internal_domains):
            return _UNSEEN
        return await self._verdict(
            f"domains/{quote(query.domain, safe='')}", f"domain/{query.domain}"
        )

    @action(Effect.READ)
    async def lookup_url(self, query: UrlQuery, call: Call) -> Verdict:
        """What the engines say of a URL; one that leads inside is not sent out."""
        if is_internal_url(query.url, self.settings.internal_domains):
            return _UNSEEN
        return await self._verdict(f"urls/{url_id(query.url)}", "url/{id}")

    @action(Effect.READ)
    async def lookup_hash(self, query: HashQuery, call: Call) -> Verdict:
        """What the engines say of a file, by its MD5, SHA-1 or SHA-256."""
        if len(query.hash) == _SHA512:
            message = "VirusTotal knows files by MD5, SHA-1 or SHA-256, not by SHA-512"
            raise Rejected(message)
        return await self._verdict(f"files/{query.hash}", "file/{id}")

    async def _verdict(self, path: str, page: str | None) -> Verdict:
        reply = await self.http.get(f"/api/v3/{path}", ok_statuses={_NOT_FOUND})
        if reply.status == _NOT_FOUND:
            if _error_code(reply) != "NotFoundError":
                message = f"{reply.place}: there is no VirusTotal API here; check base_url"
                raise Rejected(message)
            return _UNSEEN
        return _read(reply, page)


def url_id(url: str) -> str:
    """VirusTotal's identifier of a URL: its base64url, without padding."""
    return base64.urlsafe_b64encode(url.encode()).decode("ascii").rstrip("=")


def _read(reply: Reply, page: str | None) -> Verdict:
    answer = reply.json()
    found = answer.get("data") if isinstance(answer, dict) else None
    attributes = found.get("attributes") if isinstance(found, dict) else None
    if not isinstance(found, dict) or not isinstance(attributes, dict):
        raise reply.garbage("has no attributes")
    identity = str(found.get("id", ""))
    named = page is not None and ("{id}" not in page or re.fullmatch(r"[0-9a-f]{64}", identity))
    return Verdict(
        known=True,
        **_counts(reply, attributes.get("last_analysis_stats")),
        reputation=_whole(attributes.get("reputation", 0)),
        tags=tuple(str(tag)[:100] for tag in _listed(attributes.get("tags"))[:50]),
        link=f"{_GUI}/{str(page).format(id=identity)}" if named else None,
    )


def _counts(reply: Reply, stats: Any) -> dict[str, int]:
    names = ("malicious", "suspicious", "harmless", "undetected")
    if not isinstance(stats, dict) or not all(
        type(stats.get(name)) is int and stats[name] >= 0 for name in names
    ):
        raise reply.garbage("has no last_analysis_stats")
    return {name: stats[name] for name in names}


def _error_code(reply: Reply) -> str | None:
    try:
        answer = reply.json()
    except ActionError:  # whatever it is, it names no code
        return None
    error = answer.get("error") if isinstance(answer, dict) else None
    return (
        error.get("code")
        if isinstance(error, dict) and isinstance(error.get("code"), str)
        else None
    )


def _whole(value: Any) -> int:
    return value if type(value) is int else 0


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
