"""The client of a request, in the audit trail and the access log, is not what a client claims."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from api.app import create_app
from api.client_address import client_of, parse_networks
from orchestrator.domain.audit_event import EventKind
from orchestrator.runtime import open_runtime
from orchestrator.settings import Settings
from tests.harness.api_calls import events
from tests.harness.databases import migrate_quickly


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("198.51.100.1", "192.0.2.9", "198.51.100.1"),  # not a proxy that is trusted
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "192.0.2.9", "192.0.2.9"),
        ("10.0.0.1", "1.1.1.1, 192.0.2.9", "192.0.2.9"),
        ("10.0.0.1", "192.0.2.9, 10.0.0.2, 10.0.0.3", "192.0.2.9"),
        ("10.0.0.1", "192.0.2.9:4711", "192.0.2.9"),
        ("10.0.0.1", "[2001:db8::9]:4711", "2001:db8::9"),
        ("10.0.0.1", "2001:db8::9", "2001:db8::9"),
        ("::ffff:10.0.0.1", "192.0.2.9", "192.0.2.9"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "192.0.2.9, <script>, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "10.0.0.9, 10.0.0.2", "10.0.0.9"),
    ],
)
def test_forwarded_addresses_count_as_far_as_trusted_proxies_wrote_them(
    peer: str, forwarded: str | None, client: str
) -> None:
    headers = [(b"x-forwarded-for", forwarded.encode())] if forwarded else []
    scope = {"client": (peer, 1234), "headers": headers}
    assert client_of(scope, parse_networks(("10.0.0.0/8",))) == (client, 1234)


def test_several_headers_are_one_list() -> None:
    headers = [(b"x-forwarded-for", b"1.1.1.1"), (b"x-forwarded-for", b"192.0.2.9")]
    scope = {"client": ("10.0.0.1", 1), "headers": headers}
    assert client_of(scope, parse_networks(("10.0.0.0/8",))) == ("192.0.2.9", 1)


@pytest.mark.parametrize(("trusted", "client"), [(("10.0.0.1",), "192.0.2.9"), ((), "10.0.0.1")])
async def test_audit_event_and_access_log_name_the_same_client(
    tmp_path: Path, trusted: tuple[str, ...], client: str
) -> None:
    rt = open_runtime(Settings.load(data_dir=tmp_path / "data", trusted_proxies=trusted))
    await migrate_quickly(rt)
    transport = httpx.ASGITransport(create_app(rt, lambda: None), client=("10.0.0.1", 1234))
    headers = {"x-forwarded-for": "203.0.113.66, 192.0.2.9"}
    async with httpx.AsyncClient(transport=transport, base_url="http://tocsin") as http:
        with capture_logs() as logged:
            assert (await http.get("/v1/runs", headers=headers)).status_code == 401
    [event] = await events(rt, EventKind.ACCESS_REFUSED)
    await rt.close()
    assert event.data["from"] == client
    assert [each["client"] for each in logged if each["event"] == "request answered"] == [client]
