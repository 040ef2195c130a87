"""An emulated Falcon tenant: OAuth2, hosts whose containment takes a while, and indicators."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.crowdstrike.emulator_indicators import EmulatedIndicators, answer, fql_terms
from connectors.sdk.emulator import Emulator

_CLIENTS = {
    "lab-falcon-reader": "lab-falcon-read-secret",
    "lab-falcon-writer": "lab-falcon-write-secret",
}
_WRITER = "lab-falcon-writer"
_NEXT = {"containment_pending": "contained", "lift_containment_pending": "normal"}
_STARTS = {
    "contain": ("normal", "containment_pending"),
    "lift_containment": ("contained", "lift_containment_pending"),
}
_LOOKS, _SECONDS = 2, 1.0  # a pending host changes after so many requests, or so much time
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
    """A tenant with a few hosts, two of which share a name.

    Traps: errors under HTTP 200 and 202; a contained host refuses `contain`; FQL matches parts of a
    host name.
    """

    name = "crowdstrike"
    throttled: int
    """The number of requests that get a 429 with X-RateLimit-RetryAfter."""
    expired_tokens: int
    """The number of requests that find their token expired."""

    @classmethod
    def settings(cls, base_url: str) -> dict[str, Any]:
        """Return a read client, a write client and a short poll interval."""
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
        """Set the initial state: the hosts, and no indicators."""
        self.devices: dict[str, dict[str, Any]] = {}
        for number, (hostname, address, platform) in enumerate(_HOSTS, 1):
            self.add_host(f"{number:032x}", hostname, address, platform)
        self._iocs = EmulatedIndicators(self._authorize, self.record_effect)
        self.tokens: dict[str, str] = {}
        self.throttled = 0
        self.expired_tokens = 0

    @property
    def indicators(self) -> dict[str, dict[str, Any]]:
        """The custom IOCs by id."""
        return self._iocs.entries

    def add_host(
        self,
        device_id: str,
        hostname: str,
        address: str = "10.20.9.9",
        platform: str = "Windows",
        domain: str | None = None,
    ) -> None:
        """Add a host with a sensor. `domain`: which it is joined to."""
        self.devices[device_id] = {
            "device_id": device_id,
            "hostname": hostname.upper(),
            "local_ip": address,
            "platform_name": platform,
            "machine_domain": domain,
            "status": "normal",
            "tags": [],
            "looks": 0,
            "since": 0.0,
        }

    def dump(self) -> dict[str, Any]:
        """Return the state as JSON, with the tokens, so that a restart ends no session."""
        state = {"devices": self.devices, "indicators": self._iocs.dump(), "tokens": self.tokens}
        copied: dict[str, Any] = json.loads(json.dumps(state))
        return copied

    def load(self, world: Any) -> None:
        """Replace the state with what `dump` returned."""
        world = json.loads(json.dumps(world))
        self.devices, self.tokens = world["devices"], world["tokens"]
        self._iocs.load(world["indicators"])

    def in_force(self) -> dict[str, list[str]]:
        """Return the hosts that are contained or about to be, and the actions of the indicators."""
        self._advance(requested=())
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
        """Return the endpoints that the connector uses."""
        return [
            Route("/oauth2/token", self.token, methods=["POST"]),
            Route("/devices/queries/devices/v1", self.query_devices),
            Route("/devices/entities/devices/v2", self.devices_by_id, methods=["POST"]),
            Route("/devices/entities/devices-actions/v2", self.act, methods=["POST"]),
            *self._iocs.routes(),
        ]

    async def token(self, request: Request) -> Response:
        """Answer client credentials with a token of 30 minutes."""
        form = dict(parse_qsl((await request.body()).decode()))
        client = form.get("client_id", "")
        if not client or _CLIENTS.get(client) != form.get("client_secret"):
            return answer(errors=[(401, "access denied, invalid client credentials")], status=401)
        token = f"lab-falcon-token-{len(self.tokens) + 1}-{client}"
        self.tokens[token] = client
        self.state_changed()
        return JSONResponse(
            {"access_token": token, "token_type": "bearer", "expires_in": 1799}, 201
        )

    async def query_devices(self, request: Request) -> Response:
        """Answer FQL: like Falcon, match any part of a host name, and a whole address."""
        if refusal := self._authorize(request, writes=False):
            return refusal
        terms = dict(fql_terms(request))
        name, address = terms.get("hostname", "").lower(), terms.get("local_ip")
        return answer(
            [
                device_id
                for device_id, device in self.devices.items()
                if name in device["hostname"].lower() and address in {None, device["local_ip"]}
            ]
        )

    async def devices_by_id(self, request: Request) -> Response:
        """Answer with device details; an unknown id is an error in the body."""
        if refusal := self._authorize(request, writes=False):
            return refusal
        ids = (await request.json())["ids"]
        self._advance(requested=ids)
        known = [self._details(device_id) for device_id in ids if device_id in self.devices]
        unknown = [
            (404, f"device {device_id} not found")
            for device_id in ids
            if device_id not in self.devices
        ]
        return answer(known, errors=unknown, status=200 if known else 404)

    async def act(self, request: Request) -> Response:
        """Accept containing and lifting with 202; in the wrong state it is an error under 202."""
        if refusal := self._authorize(request, writes=True):
            return refusal
        action, ids = request.query_params.get("action_name"), (await request.json())["ids"]
        if action not in _STARTS or not ids:
            return answer(errors=[(400, "invalid action or no ids")], status=400)
        start, pending = _STARTS[action]
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
        path = "/devices/entities/devices/v1?ids="
        resources = [{"id": device_id, "path": f"{path}{device_id}"} for device_id in ids]
        return answer(resources, errors=errors, status=202)

    def _authorize(self, request: Request, *, writes: bool) -> Response | None:
        """Return the answer for 429, 401 and 403, in Falcon's order, or None."""
        if self.throttled > 0:
            self.throttled -= 1
            headers = {
                "X-RateLimit-Limit": "6000",
                "X-RateLimit-Remaining": "0",
                "X-RateLimit-RetryAfter": str(int(time.time()) + 30),
            }
            return answer(errors=[(429, "API rate limit exceeded.")], status=429, headers=headers)
        client = self.tokens.get(request.headers.get("authorization", "").removeprefix("Bearer "))
        if self.expired_tokens > 0:
            self.expired_tokens -= 1
            client = None
        if client is None:
            return answer(errors=[(401, "access denied, invalid bearer token")], status=401)
        if writes and client != _WRITER:
            return answer(errors=[(403, "access denied, scope not permitted")], status=403)
        return None

    def _advance(self, *, requested: Sequence[str]) -> None:
        for device_id, device in self.devices.items():
            if device["status"] not in _NEXT:
                continue
            device["looks"] += device_id in requested
            if device["looks"] > _LOOKS or time.time() - device["since"] > _SECONDS:
                device["status"] = _NEXT[device["status"]]
                self.state_changed()

    def _details(self, device_id: str) -> dict[str, Any]:
        public = {
            name: value
            for name, value in self.devices[device_id].items()
            if name not in {"looks", "since"}
        }
        return {**public, "last_seen": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
