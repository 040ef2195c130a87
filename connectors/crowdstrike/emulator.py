"""A Falcon tenant in memory: OAuth2, hosts that take a while to be contained, indicators, and errors under a 200."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.sdk.emulator import Emulator

_CLIENTS = {
    "lab-falcon-reader": "lab-falcon-read-secret",
    "lab-falcon-writer": "lab-falcon-write-secret",
}
_WRITER = "lab-falcon-writer"
_TERM = re.compile(r"(\w+):\[?'([^']*)'\]?")
_NEXT = {"containment_pending": "contained", "lift_containment_pending": "normal"}
_LOOKS, _SECONDS = 2, 1.0  # a host moves on after that many looks, or that long
_HOSTS = (
    ("ws-042", "10.20.0.42", "Windows"),
    ("ws-007", "10.20.0.7", "Windows"),
    ("mac-113", "10.20.1.113", "Mac"),
    ("web-01", "10.30.0.11", "Linux"),
    ("dc-01", "10.10.0.10", "Windows"),
    ("twin", "10.20.2.1", "Windows"),
    ("twin", "10.20.2.2", "Windows"),
    ("ws-015", "10.20.0.15", "Windows"),
    ("ws-023", "10.20.0.23", "Windows"),
    ("mail-01", "10.30.0.25", "Linux"),
    ("db-01", "10.30.0.31", "Linux"),
)


class CrowdStrikeEmulator(Emulator):
    """`throttled`: how many requests get a 429 with X-RateLimit-RetryAfter.

    `expired_tokens`: how many requests find their token expired.
    """

    name = "crowdstrike"

    @classmethod
    def settings(cls, base_url: str) -> dict[str, Any]:
        """A reading and a writing client, quick polling."""
        reader = {"client_id": "lab-falcon-reader", "client_secret": _CLIENTS["lab-falcon-reader"]}
        writer = {"write_client_id": _WRITER, "write_client_secret": _CLIENTS[_WRITER]}
        return {
            "base_url": base_url,
            **reader,
            **writer,
            "poll_seconds": 0.02,
            "containment_timeout_seconds": 30,
        }

    def seed(self) -> None:
        """A handful of hosts, two of which share a name; no indicators."""
        self.devices: dict[str, dict[str, Any]] = {}
        for number, (hostname, address, platform) in enumerate(_HOSTS, 1):
            self.add_host(f"{number:032x}", hostname, address, platform)
        self.indicators: dict[str, dict[str, Any]] = {}
        self.tokens: dict[str, str] = {}
        self.throttled = 0
        self.expired_tokens = 0
        self._made = 0

    def add_host(
        self, device_id: str, hostname: str, address: str = "10.20.9.9", platform: str = "Windows"
    ) -> None:
        """One more host with a sensor."""
        seen = {
            "device_id": device_id,
            "hostname": hostname.upper(),
            "local_ip": address,
            "platform_name": platform,
        }
        self.devices[device_id] = {**seen, "status": "normal", "tags": [], "looks": 0, "since": 0.0}

    def dump(self) -> dict[str, Any]:
        """The world as JSON. Tokens are kept, so that a restart does not log anybody out."""
        plain = {
            "devices": self.devices,
            "indicators": self.indicators,
            "tokens": self.tokens,
            "made": self._made,
        }
        copied: dict[str, Any] = json.loads(json.dumps(plain))
        return copied

    def load(self, world: Any) -> None:
        """Puts a dumped world back."""
        world = json.loads(json.dumps(world))
        self.devices, self.indicators, self.tokens, self._made = (
            world["devices"],
            world["indicators"],
            world["tokens"],
            world["made"],
        )

    def in_force(self) -> dict[str, list[str]]:
        """Hosts that are contained or about to be; hashes by what their indicator does."""
        self._advance(looked_at=())
        isolated = {
            device["hostname"].lower()
            for device in self.devices.values()
            if device["status"] in {"contained", "containment_pending"}
        }
        indicators = sorted(
            f"{entry['action']} {entry['type']} {entry['value']}"
            for entry in self.indicators.values()
        )
        return {"isolated_hosts": sorted(isolated), "indicators": indicators}

    def routes(self) -> Sequence[Route]:
        """What of the API is spoken."""
        ioc = "/iocs/entities/indicators/v1"
        return [
            Route("/oauth2/token", self.token, methods=["POST"]),
            Route("/devices/queries/devices/v1", self.query_devices),
            Route("/devices/entities/devices/v2", self.devices_by_id, methods=["POST"]),
            Route("/devices/entities/devices-actions/v2", self.act, methods=["POST"]),
            Route("/iocs/combined/indicator/v1", self.search_indicators),
            Route(ioc, self.create_indicators, methods=["POST"]),
            Route(ioc, self.update_indicators, methods=["PATCH"]),
            Route(ioc, self.delete_indicators, methods=["DELETE"]),
        ]

    async def token(self, request: Request) -> Response:
        """Client credentials for a token of 30 minutes."""
        form = dict(parse_qsl((await request.body()).decode()))
        client = form.get("client_id", "")
        if not client or _CLIENTS.get(client) != form.get("client_secret"):
            return _answer(errors=[(401, "access denied, invalid client credentials")], status=401)
        self._made += 1
        token = f"lab-falcon-token-{self._made}-{client}"
        self.tokens[token] = client
        self.changed()
        return JSONResponse(
            {"access_token": token, "token_type": "bearer", "expires_in": 1799}, 201
        )

    async def query_devices(self, request: Request) -> Response:
        """FQL over hosts: a value matches a part of the name, as the real one does, and the whole of an address."""
        if refused := self._refuse(request, writes=False):
            return refused
        terms = dict(_TERM.findall(request.query_params.get("filter", "")))
        name, address = terms.get("hostname", "").lower(), terms.get("local_ip")
        fits = [
            identity
            for identity, device in self.devices.items()
            if name in device["hostname"].lower()
        ]
        return _answer(
            [identity for identity in fits if address in {None, self.devices[identity]["local_ip"]}]
        )

    async def devices_by_id(self, request: Request) -> Response:
        """Details; an id that nobody has is an error in the body."""
        if refused := self._refuse(request, writes=False):
            return refused
        ids = (await request.json())["ids"]
        self._advance(looked_at=ids)
        found = [self._device(device_id) for device_id in ids if device_id in self.devices]
        missing = [
            (404, f"device {device_id} not found")
            for device_id in ids
            if device_id not in self.devices
        ]
        return _answer(found, errors=missing, status=200 if found else 404)

    async def act(self, request: Request) -> Response:
        """Contain and lift: accepted with 202, done later. Doing it twice is an error, under the same 202."""
        if refused := self._refuse(request, writes=True):
            return refused
        action, ids = request.query_params.get("action_name"), (await request.json())["ids"]
        starts = {
            "contain": ("normal", "containment_pending"),
            "lift_containment": ("contained", "lift_containment_pending"),
        }
        if action not in starts or not ids:
            return _answer(errors=[(400, "invalid action or no ids")], status=400)
        start, pending = starts[action]
        errors = []
        for device_id in ids:
            device = self.devices.get(device_id)
            if device is None:
                errors.append((404, f"device {device_id} not found"))
            elif device["status"] != start:
                errors.append(
                    (409, f"device {device_id} is in state {device['status']}; cannot {action}")
                )
            else:
                device.update(status=pending, looks=0, since=time.time())
                self.record_effect(request, action, device["hostname"].lower())
        return _answer(
            [
                {"id": device_id, "path": f"/devices/entities/devices/v1?ids={device_id}"}
                for device_id in ids
            ],
            errors=errors,
            status=202,
        )

    async def search_indicators(self, request: Request) -> Response:
        """FQL over type, value, source and tags; page by page, each with the token of the next."""
        if refused := self._refuse(request, writes=False):
            return refused
        terms = _TERM.findall(request.query_params.get("filter", ""))
        found = [
            entry
            for entry in self.indicators.values()
            if all(_has(entry, name, value) for name, value in terms)
        ]
        first, limit = (
            int(request.query_params.get("after") or 0),
            int(request.query_params.get("limit") or 100),
        )
        after = str(first + limit) if first + limit < len(found) else ""
        return _answer(found[first : first + limit], total=len(found), after=after)

    async def create_indicators(self, request: Request) -> Response:
        """Create; one per type and value."""
        if refused := self._refuse(request, writes=True):
            return refused
        made = []
        for given in (await request.json())["indicators"]:
            if any(
                (entry["type"], entry["value"]) == (given["type"], given["value"])
                for entry in self.indicators.values()
            ):
                words = (
                    f"Duplicate type: '{given['type']}' and value: '{given['value']}' combination"
                )
                return _answer(
                    [{"message_type": "error", "message": words, "row": 1}],
                    errors=[(400, "duplicate indicator")],
                    status=400,
                )
            self._made += 1
            entry = {
                "id": f"{self._made:064x}",
                "applied_globally": False,
                "tags": [],
                "expired": False,
                "deleted": False,
                **given,
            }
            self.indicators[entry["id"]] = entry
            made.append(entry)
            self.record_effect(request, "create indicator", given["value"])
        return _answer(made, status=201)

    async def update_indicators(self, request: Request) -> Response:
        """Change fields by id."""
        if refused := self._refuse(request, writes=True):
            return refused
        for given in (await request.json())["indicators"]:
            entry = self.indicators.get(given["id"])
            if entry is None:
                return _answer(errors=[(404, f"indicator {given['id']} not found")])
            entry.update(given)
            self.record_effect(request, "update indicator", entry["value"])
        return _answer()

    async def delete_indicators(self, request: Request) -> Response:
        """Remove by ids."""
        if refused := self._refuse(request, writes=True):
            return refused
        for indicator_id in request.query_params.getlist("ids"):
            gone = self.indicators.pop(indicator_id, None)
            if gone is None:
                return _answer(errors=[(404, f"indicator {indicator_id} not found")])
            self.record_effect(request, "delete indicator", gone["value"])
        return _answer()

    def _refuse(self, request: Request, *, writes: bool) -> Response | None:
        """429, 401 and 403, in the order in which the real one looks."""
        if self.throttled > 0:
            self.throttled -= 1
            headers = {
                "X-RateLimit-Limit": "6000",
                "X-RateLimit-Remaining": "0",
                "X-RateLimit-RetryAfter": str(int(time.time()) + 30),
            }
            return _answer(errors=[(429, "API rate limit exceeded.")], status=429, headers=headers)
        client = self.tokens.get(request.headers.get("authorization", "").removeprefix("Bearer "))
        if self.expired_tokens > 0:
            self.expired_tokens -= 1
            client = None
        if client is None:
            return _answer(errors=[(401, "access denied, invalid bearer token")], status=401)
        if writes and client != _WRITER:
            return _answer(errors=[(403, "access denied, scope not permitted")], status=403)
        return None

    def _advance(self, *, looked_at: Sequence[str]) -> None:
        for device_id, device in self.devices.items():
            if device["status"] not in _NEXT:
                continue
            device["looks"] += device_id in looked_at
            if device["looks"] > _LOOKS or time.time() - device["since"] > _SECONDS:
                device["status"] = _NEXT[device["status"]]
                self.changed()

    def _device(self, device_id: str) -> dict[str, Any]:
        shown = {
            name: value
            for name, value in self.devices[device_id].items()
            if name not in {"looks", "since"}
        }
        return {**shown, "last_seen": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}


def _has(entry: dict[str, Any], name: str, value: str) -> bool:
    found = entry.get(name)
    return value in found if isinstance(found, list) else found == value


def _answer(
    resources: Sequence[Any] = (),
    *,
    errors: Sequence[tuple[int, str]] = (),
    status: int = 200,
    headers: dict[str, str] | None = None,
    total: int | None = None,
    after: str = "",
) -> Response:
    paging = {
        "offset": 0,
        "limit": 100,
        "total": len(resources) if total is None else total,
        "after": after,
    }
    meta = {"query_time": 0.01, "trace_id": "lab", "pagination": paging}
    wrong = [{"code": code, "message": words} for code, words in errors]
    return JSONResponse(
        {"meta": meta, "resources": list(resources), "errors": wrong}, status, headers
    )
