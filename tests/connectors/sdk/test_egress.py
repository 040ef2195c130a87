"""Egress control for every spelling of an address and every answer of the DNS."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from connectors.sdk.egress import Egress
from connectors.sdk.http import HttpClient
from connectors.sdk.transport import Access
from orchestrator.domain.errors import Rejected, Unavailable


def egress(url: str, *addresses: str) -> Egress:
    """Return an allow-list of one URL, whose name has these addresses."""

    async def resolve(_host: str, _port: int) -> list[str]:
        return list(addresses)

    return Egress([url], resolve)


REFUSED = [
    "169.254.169.254",
    "169.254.1.1",
    "0.0.0.0",
    "224.0.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "fe80::1",
    "fd00:ec2::254",
    "::",
    "ff02::1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
]


@pytest.mark.parametrize("address", REFUSED)
async def test_forbidden_address_is_refused_as_literal_and_by_name(address: str) -> None:
    literal = f"https://[{address}]/" if ":" in address else f"https://{address}/"
    with pytest.raises(Rejected, match="no connection may go"):
        egress(literal).check(httpx.URL(literal))
    with pytest.raises(Rejected, match="no connection may go"):
        await egress("https://a.example", address).addresses(httpx.URL("https://a.example/x"))


async def test_one_forbidden_address_refuses_the_name() -> None:
    with pytest.raises(Rejected):
        await egress("https://a.example", "203.0.113.5", "169.254.169.254").addresses(
            httpx.URL("https://a.example/x")
        )


async def test_name_of_the_loopback_is_refused_unless_it_is_localhost() -> None:
    for loopback in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
        with pytest.raises(Rejected, match="this machine"):
            await egress("https://a.example", loopback).addresses(httpx.URL("https://a.example/x"))
    assert await egress("http://localhost:8", "127.0.0.1").addresses(
        httpx.URL("http://localhost:8/x")
    ) == ["127.0.0.1"]


async def test_private_address_is_allowed() -> None:
    assert await egress("https://fw.corp.example", "10.1.2.3").addresses(
        httpx.URL("https://fw.corp.example/")
    ) == ["10.1.2.3"]


async def test_name_without_address_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="no address"):
        await egress("https://a.example").addresses(httpx.URL("https://a.example/"))


async def test_empty_list_allows_nothing() -> None:
    with pytest.raises(Rejected):
        Egress([]).check(httpx.URL("https://a.example/"))


async def test_connection_uses_the_checked_address_and_keeps_the_name(
    running_echo: str,
) -> None:
    port = httpx.URL(running_echo).port
    calls: list[str] = []

    async def resolve(host: str, _port: int) -> list[str]:
        calls.append(host)
        return ["127.0.0.1"]

    options: dict[str, Any] = {"access": Access.READ, "is_read": lambda _: True}
    base = f"http://localhost:{port}"
    http = HttpClient(base, egress=Egress([base], resolve), **options)
    try:
        assert (await http.get("/x")).json()["host"] == f"localhost:{port}"
    finally:
        await http.aclose()
    assert calls == ["localhost"]
