"""How VirusTotal behaves, in memory: a verdict for everything, decided by the value itself, and a quota.

203.0.113.0/24, 198.51.100.0/24   a last octet of 200 and above: nobody knows it; of 100 to 199: harmless;
                                  below 100: malicious by 5 engines and as many more as the octet, at most 60
any other address                 harmless; IPv6: nobody knows it
a domain, or a URL's host         `bad`, `evil` or `c2` in a label: malicious by 23; `new` in a label: nobody knows it; else harmless
a file                            the EICAR test file, or a hash that begins with `bad`: malicious by 48; with `0`: harmless; else unknown
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

from connectors.sdk.emulator import JSON, Emulator

LAB_SETTINGS: dict[str, Any] = {"api_key": "lab-token"}

_ENGINES = 92
_BAD_NETWORKS = (ipaddress.ip_network("203.0.113.0/24"), ipaddress.ip_network("198.51.100.0/24"))
_EICAR = {
    "44d88612fea8a8f36de82e1278abb02f",
    "3395856ce81f2b7382dee72602f798b642f14140",
    "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f",
}
_BAD_WORDS = ("bad", "evil", "c2")

Judge = Callable[[str], int | None]  # how many engines say malicious; None: nobody knows it


class VirusTotalEmulator(Emulator):
    """Traps: 404 means unseen; a used-up quota is a 429 without Retry-After; counts come beside ones that nobody needs."""

    name = "virustotal"

    @classmethod
    def settings(cls, base_url: str) -> dict[str, Any]:
        """The lab's key."""
        return {**LAB_SETTINGS, "base_url": base_url}

    def seed(self) -> None:
        """Nobody has asked anything; there is no quota until a test sets one."""
        self.asked: list[str] = []
        self.quota: int | None = None

    def in_force(self) -> JSON:
        """Nothing: it only answers."""
        return {}

    def dump(self) -> JSON:
        """What was asked, and what is left of the quota."""
        return {"asked": list(self.asked), "quota": self.quota}

    def load(self, world: JSON) -> None:
        """Puts it back."""
        self.asked, self.quota = list(world["asked"]), world["quota"]

    def routes(self) -> Sequence[Route]:
        """The four lookups."""
        table: list[tuple[str, str, Judge]] = [
            ("ip_addresses", "ip_address", judge_address),
            ("domains", "domain", judge_domain),
            ("urls", "url", _judge_url_id),
            ("files", "file", judge_hash),
        ]
        return [
            Route(f"/api/v3/{path}/{{value}}", self._lookup(kind, judge))
            for path, kind, judge in table
        ]

    def _lookup(self, kind: str, judge: Judge) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            value = request.path_params["value"]
            if request.headers.get("x-apikey") != LAB_SETTINGS["api_key"]:
                return _refuse(401, "WrongCredentialsError", "Wrong API key")
            if self.quota is not None:
                if self.quota <= 0:
                    return _refuse(429, "QuotaExceededError", "Quota exceeded")
                self.quota -= 1
            self.asked.append(f"{kind} {value}")
            malicious = judge(value)
            if malicious is None:
                return _refuse(404, "NotFoundError", f'{kind} "{value}" not found')
            return JSONResponse({"data": _object(kind, value, malicious)})

        return answer


def judge_address(value: str) -> int | None:
    """How many engines call the address malicious; None: nobody knows it."""
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


def judge_domain(value: str) -> int | None:
    """How many engines call the domain malicious; None: nobody knows it."""
    if "new" in value:
        return None
    return 23 if any(word in label for label in value.split(".") for word in _BAD_WORDS) else 0


def judge_hash(value: str) -> int | None:
    """How many engines call the file malicious; None: nobody knows it."""
    if value in _EICAR or value.startswith("bad"):
        return 48
    return 0 if value.startswith("0") else None


def _judge_url_id(value: str) -> int | None:
    url = _url_of(value)
    return None if url is None else judge_domain(urlsplit(url).hostname or "")


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
