"""The VirusTotal connector: looks up addresses, domains, URLs and files, and submits nothing."""

from __future__ import annotations

from datetime import timedelta

from connectors.capabilities.reputation import (
    AddressQuery,
    DomainQuery,
    HashQuery,
    Reputation,
    ReputationVerdict,
    UrlQuery,
)
from connectors.sdk.action import action
from connectors.sdk.call import ActionCall
from connectors.sdk.connector import Connector
from connectors.sdk.http import HttpClient
from connectors.sdk.reply import HttpReply
from connectors.sdk.transport import Access
from connectors.virustotal.client import UNKNOWN_VERDICT, VirusTotalClient, quota_wait
from connectors.virustotal.internal import is_internal_address, is_internal_name, is_internal_url
from connectors.virustotal.settings import VirusTotalSettings
from orchestrator.domain.change import Effect
from orchestrator.domain.errors import Rejected

_SHA512 = 128  # hex digits
_WELL_KNOWN = "8.8.8.8"


class VirusTotal(Connector[VirusTotalSettings], Reputation):
    """Speaks the VirusTotal API v3, `GET` only. A URL is looked up by its identifier, not scanned.

    The rate limit depends on the key, so VirusTotal enforces it: 429 is `Unavailable`.
    """

    name = "virustotal"
    title = "VirusTotal"
    docs = "https://docs.virustotal.com/reference/overview"

    def __init__(self, settings: VirusTotalSettings, http: HttpClient) -> None:
        super().__init__(settings, http)
        self._virustotal = VirusTotalClient(http)

    @classmethod
    def headers(cls, settings: VirusTotalSettings, access: Access) -> dict[str, str]:  # noqa: ARG003  # one key for all
        """Return the API key."""
        return {"x-apikey": settings.api_key.get_secret_value()}

    @classmethod
    def retry_after(cls, reply: HttpReply) -> timedelta | None:
        """Return a minute for an exhausted quota."""
        return quota_wait(reply)

    async def check(self) -> str:
        """Look up one well-known address, which takes one request of the quota."""
        verdict = await self._virustotal.address(_WELL_KNOWN)
        return f"key accepted; {verdict.malicious} engines call {_WELL_KNOWN} malicious"

    @action(Effect.READ)
    async def lookup_address(self, query: AddressQuery, call: ActionCall) -> ReputationVerdict:
        """Look up the verdicts on an IP address. An internal address is not sent."""
        if is_internal_address(query.address):
            return UNKNOWN_VERDICT
        return await self._virustotal.address(query.address)

    @action(Effect.READ)
    async def lookup_domain(self, query: DomainQuery, call: ActionCall) -> ReputationVerdict:
        """Look up the verdicts on a domain. An internal domain is not sent."""
        if is_internal_name(query.domain, self.settings.internal_domains):
            return UNKNOWN_VERDICT
        return await self._virustotal.domain(query.domain)

    @action(Effect.READ)
    async def lookup_url(self, query: UrlQuery, call: ActionCall) -> ReputationVerdict:
        """Look up the verdicts on a URL. A URL with an internal host is not sent."""
        if is_internal_url(query.url, self.settings.internal_domains):
            return UNKNOWN_VERDICT
        return await self._virustotal.url(query.url)

    @action(Effect.READ)
    async def lookup_hash(self, query: HashQuery, call: ActionCall) -> ReputationVerdict:
        """Look up the verdicts on a file, by its MD5, SHA-1 or SHA-256."""
        if len(query.hash) == _SHA512:
            message = "VirusTotal knows files by MD5, SHA-1 or SHA-256, not by SHA-512"
            raise Rejected(message)
        return await self._virustotal.file(query.hash)
