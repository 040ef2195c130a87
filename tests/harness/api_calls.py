"""Calls of the API tests: sources, alerts and problems."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import httpx

from orchestrator.audit.trail import event
from orchestrator.domain.access import Role
from orchestrator.domain.audit_event import Event, EventKind
from orchestrator.runtime import Runtime
from tests.harness.trails import stored_events

__all__ = [
    "EDGE",
    "SECRET",
    "People",
    "add_edge",
    "alert",
    "event",
    "events",
    "is_problem",
    "signed",
]

SECRET = "a-secret-that-is-long-enough"
EDGE = {"authorization": f"Bearer {SECRET}"}


class People(dict[Role, httpx.AsyncClient]):
    """A client with a key for each role."""


def is_problem(reply: httpx.Response, status: int) -> dict[str, Any]:
    """Assert that the reply is a problem of this status, and return it."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = reply.json()
    assert found["status"] == status
    assert found["type"].startswith("urn:tocsin:problem:")
    assert found["title"]
    assert found["request_id"] == reply.headers["x-request-id"]
    return found


def alert(
    address: str = "198.51.100.7", signature: str = "ET MALWARE Cobalt Strike Beacon"
) -> bytes:
    """Return an alert of Suricata."""
    return json.dumps(
        {
            "timestamp": "2026-03-04T05:06:07.000000+0000",
            "flow_id": 1234567890,
            "event_type": "alert",
            "src_ip": "10.1.2.3",
            "src_port": 50000,
            "dest_ip": address,
            "dest_port": 443,
            "proto": "TCP",
            "alert": {
                "action": "allowed",
                "signature_id": 2033713,
                "rev": 1,
                "signature": signature,
                "category": "Malware",
                "severity": 1,
            },
        }
    ).encode()


async def add_edge(admin: httpx.AsyncClient, **more: Any) -> dict[str, Any]:
    """Add the source `edge`, by bearer unless specified otherwise."""
    body = {"name": "edge", "product": "suricata", "scheme": "bearer", "secret": SECRET, **more}
    reply = await admin.post("/v1/sources", json=body)
    assert reply.status_code == 201, reply.text
    found: dict[str, Any] = reply.json()
    return found


def signed(
    secret: str, body: bytes, message_id: str = "msg_1", at: float | None = None
) -> dict[str, str]:
    """Return the headers of Standard Webhooks."""
    moment = str(int(at if at is not None else time.time()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{message_id}.{moment}.".encode() + body, hashlib.sha256)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": moment,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


async def events(rt: Runtime, kind: EventKind) -> list[Event]:
    """Return the audit events of a kind, newest first."""
    return await stored_events(rt, kind)
