"""An emulated VirusTotal: verdicts that follow from the value itself, and a quota.

203.0.113.0/24,     last octet 200 and above: unknown; 100 to 199: harmless;
198.51.100.0/24     below 100: malicious by 5 engines plus the octet, at most 60
other addresses     IPv4: harmless; IPv6: unknown
domains, URL hosts  `bad`, `evil` or `c2` in a label: malicious by 23; `new`: unknown; else harmless
files               EICAR, or a hash that begins with `bad`: malicious by 48; with `0`: harmless;
                    else unknown
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import ipaddress
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.sdk.call import JSON
from connectors.sdk.emulator import Emulator

LAB_SETTINGS: dict[str, Any] = {"api_key": "lab-token"}

_ENGINES = 92
_BAD_NETWORKS = (ipaddress.ip_network("203.0.113.0/24"), ipaddress.ip_network("198.51.100.0/24"))
_EICAR = {
    "44d88612fea8a8f36de82e1278abb02f",
    "3395856ce81f2b7382dee72602f798b642f14140",
    "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f",
}
_BAD_WORDS = ("bad", "evil", "c2")

CountMalicious = Callable[[str], int | None]
"""Returns the number of engines that call a value malicious, None for an unknown value."""


class VirusTotalEmulator(Emulator):
    """Four lookups without any other state than the quota.

    Traps: 404 means unknown; an exhausted quota is a 429 without Retry-After; the stats contain
    further counts.
    """

    name = "virustotal"

    @classmethod
    def settings(cls, base_url: str) -> dict[str, Any]:
        """Return the lab's key."""
        return {**LAB_SETTINGS, "base_url": base_url}

    def seed(self) -> None:
        """Set the initial state: no requests, and no quota until a test sets one."""
        self.requested: list[str] = []
        self.quota: int | None = None

    def in_force(self) -> JSON:
        """Return nothing: the API changes nothing."""
        return {}

    def dump(self) -> JSON:
        """Return the requested values and the rest of the quota."""
        return {"requested": list(self.requested), "quota": self.quota}

    def load(self, world: JSON) -> None:
        """Replace the state with what `dump` returned."""
        self.requested, self.quota = list(world["requested"]), world["quota"]

    def routes(self) -> Sequence[Route]:
        """Return the four lookups."""
        table: list[tuple[str, str, CountMalicious]] = [
            ("ip_addresses", "ip_address", malicious_count_of_address),
            ("domains", "domain", malicious_count_of_domain),
            ("urls", "url", _malicious_count_of_url_id),
            ("files", "file", malicious_count_of_hash),
        ]
        return [
            Route(f"/api/v3/{path}/{{value}}", self._lookup(kind, count))
            for path, kind, count in table
        ]

    def _lookup(self, kind: str, count: CountMalicious) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            value = request.path_params["value"]
            if request.headers.get("x-apikey") != LAB_SETTINGS["api_key"]:
                return _refuse(401, "WrongCredentialsError", "Wrong API key")
            if self.quota is not None:
                if self.quota <= 0:
                    return _refuse(429, "QuotaExceededError", "Quota exceeded")
                self.quota -= 1
            self.requested.append(f"{kind} {value}")
            malicious = count(value)
            if malicious is None:
                return _refuse(404, "NotFoundError", f'{kind} "{value}" not found')
            return JSONResponse({"data": _object(kind, value, malicious)})

        return answer


def malicious_count_of_address(value: str) -> int | None:
    """Return how many engines call the address malicious, None if it is unknown."""
    address = ipaddress.ip_address(value)
    if address.version != 4:
        return None
    if not any(address in network for network in _BAD_NETWORKS):
        return 0
    octet = int(address) & 0xFF
    match octet:
        case _ if octet >= 200:
            return None
        case _ if octet >= 100:
            return 0
        case _:
            return min(60, 5 + octet)


def malicious_count_of_domain(value: str) -> int | None:
    """Return how many engines call the domain malicious, None if it is unknown."""
    if "new" in value:
        return None
    return 23 if any(word in label for label in value.split(".") for word in _BAD_WORDS) else 0


def malicious_count_of_hash(value: str) -> int | None:
    """Return how many engines call the file malicious, None if it is unknown."""
    if value in _EICAR or value.startswith("bad"):
        return 48
    return 0 if value.startswith("0") else None


def _malicious_count_of_url_id(value: str) -> int | None:
    url = _url_of(value)
    return None if url is None else malicious_count_of_domain(urlsplit(url).hostname or "")


def _url_of(identity: str) -> str | None:
    try:
        return base64.urlsafe_b64decode(identity + "=" * (-len(identity) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def _object(kind: str, value: str, malicious: int) -> dict[str, Any]:
    identity = {
        "url": lambda: hashlib.sha256((_url_of(value) or "").encode()).hexdigest(),
        "file": lambda: value if len(value) == 64 else hashlib.sha256(value.encode()).hexdigest(),
    }.get(kind, lambda: value)()
    suspicious = 1 if malicious else 0
    stats = {
        "malicious": malicious,
        "suspicious": suspicious,
        "harmless": _ENGINES - 20 - malicious,
        "undetected": 20 - suspicious,
        "timeout": 0,
    }
    attributes = {
        "last_analysis_stats": stats,
        "reputation": -malicious,
        "tags": ["c2"] if malicious >= 20 else [],
        "total_votes": {"harmless": 0, "malicious": malicious // 10},
    }
    return {"id": identity, "type": kind, "attributes": attributes}


def _refuse(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": message}}, status)
