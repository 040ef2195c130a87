"""The VirusTotal API v3: reports on addresses, domains, URLs and files. Nothing is submitted."""

from __future__ import annotations

import base64
import re
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from connectors.capabilities.reputation import ReputationVerdict
from connectors.sdk.http import HttpClient
from connectors.sdk.reply import HttpReply
from orchestrator.domain.errors import ActionError, Rejected

UNKNOWN_VERDICT = ReputationVerdict(
    known=False, malicious=0, suspicious=0, harmless=0, undetected=0
)
_GUI = "https://www.virustotal.com/gui"
_NOT_FOUND = 404
_QUOTA_WAIT = timedelta(minutes=1)  # the shortest quota period; the API does not say when it ends


class VirusTotalClient:
    """Lookups by GET. Methods raise Unavailable, Rejected."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http

    async def address(self, address: str) -> ReputationVerdict:
        """Return the verdict on an IP address."""
        return await self._report(
            f"ip_addresses/{quote(address, safe='')}", f"ip-address/{address}"
        )

    async def domain(self, domain: str) -> ReputationVerdict:
        """Return the verdict on a domain."""
        return await self._report(f"domains/{quote(domain, safe='')}", f"domain/{domain}")

    async def url(self, url: str) -> ReputationVerdict:
        """Return the verdict on a URL, by its identifier: VirusTotal does not visit the URL."""
        return await self._report(f"urls/{url_id(url)}", "url/{id}")

    async def file(self, file_hash: str) -> ReputationVerdict:
        """Return the verdict on a file, by its MD5, SHA-1 or SHA-256."""
        return await self._report(f"files/{file_hash}", "file/{id}")

    async def _report(self, path: str, page: str) -> ReputationVerdict:
        reply = await self._http.get(f"/api/v3/{path}", ok_statuses={_NOT_FOUND})
        if reply.status == _NOT_FOUND:
            if _error_code(reply) != "NotFoundError":
                message = f"{reply.endpoint}: not a VirusTotal API; check base_url"
                raise Rejected(message)
            return UNKNOWN_VERDICT
        return _verdict(reply, page)


def url_id(url: str) -> str:
    """Return VirusTotal's identifier of a URL: its base64url without padding."""
    return base64.urlsafe_b64encode(url.encode()).decode("ascii").rstrip("=")


def quota_wait(reply: HttpReply) -> timedelta | None:
    """Return a minute for an exhausted quota, which has no Retry-After, else None."""
    exhausted = _error_code(reply) in {"QuotaExceededError", "TooManyRequestsError"}
    return _QUOTA_WAIT if exhausted and "Retry-After" not in reply.headers else None


def _verdict(reply: HttpReply, page: str) -> ReputationVerdict:
    answer = reply.json()
    data = answer.get("data") if isinstance(answer, dict) else None
    attributes = data.get("attributes") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(attributes, dict):
        raise reply.unreadable("has no attributes")
    object_id = str(data.get("id", ""))
    has_page = "{id}" not in page or re.fullmatch(r"[0-9a-f]{64}", object_id)
    return ReputationVerdict(
        known=True,
        **_counts(reply, attributes.get("last_analysis_stats")),
        reputation=_integer(attributes.get("reputation", 0)),
        tags=tuple(str(tag)[:100] for tag in _list(attributes.get("tags"))[:50]),
        link=f"{_GUI}/{page.format(id=object_id)}" if has_page else None,
    )


def _counts(reply: HttpReply, stats: Any) -> dict[str, int]:
    names = ("malicious", "suspicious", "harmless", "undetected")
    if not isinstance(stats, dict) or not all(
        type(stats.get(name)) is int and stats[name] >= 0 for name in names
    ):
        raise reply.unreadable("has no last_analysis_stats")
    return {name: stats[name] for name in names}


def _error_code(reply: HttpReply) -> str | None:
    try:
        answer = reply.json()
    except ActionError:
        return None
    error = answer.get("error") if isinstance(answer, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, str) else None


def _integer(value: Any) -> int:
    return value if type(value) is int else 0


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
