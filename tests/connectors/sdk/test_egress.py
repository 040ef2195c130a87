"""Where a connection may not go, however the address is written or the name resolves."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from connectors.sdk.egress import Egress
from connectors.sdk.http import Access, HttpClient
from orchestrator.domain.errors import Rejected, Unavailable


def egress(url: str, *addresses: str) -> Egress:
    """An allow-list of one URL, whose name resolves so."""

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
async def test_a_refused_address_is_refused_as_a_literal_and_behind_a_name(address: str) -> None:
    literal = f"https://[{address}]/" if ":" in address else f"https://{address}/"
    with pytest.raises(Rejected, match="never go there"):
        egress(literal).admit(httpx.URL(literal))
    with pytest.raises(Rejected, match="never go there"):
        await egress("https://a.example", address).addresses(httpx.URL("https://a.example/x"))


async def test_one_refused_address_among_others_refuses_the_name() -> None:
    with pytest.raises(Rejected):
        await egress("https://a.example", "203.0.113.5", "169.254.169.254").addresses(
            httpx.URL("https://a.example/x")
        )


async def test_a_name_that_turns_out_to_be_this_machine_is_refused_unless_it_is_called_localhost() -> (
    None
):
    for loopback in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
        with pytest.raises(Rejected, match="this machine"):
            await egress("https://a.example", loopback).addresses(httpx.URL("https://a.example/x"))
    assert await egress("http://localhost:8", "127.0.0.1").addresses(
        httpx.URL("http://localhost:8/x")
    ) == ["127.0.0.1"]


async def test_private_addresses_are_where_appliances_live() -> None:
    assert await egress("https://fw.corp.example", "10.1.2.3").addresses(
        httpx.URL("https://fw.corp.example/")
    ) == ["10.1.2.3"]


async def test_a_name_without_address_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="no address"):
        await egress("https://a.example").addresses(httpx.URL("https://a.example/"))


async def test_an_empty_list_allows_nothing() -> None:
    with pytest.raises(Rejected):
        Egress([]).admit(httpx.URL("https://a.example/"))


async def test_the_connection_goes_to_the_address_that_was_checked_and_keeps_the_name(
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
