"""Outbound proxies: requests pass them or fail, never around them, and their refusals are named."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.sdk.egress import Egress
from connectors.sdk.http import HttpClient
from connectors.sdk.open import open_connector
from connectors.sdk.proxy.choice import OutboundProxy, parse_no_proxy, parse_proxy
from connectors.sdk.settings import HttpSettings, secret_fields
from connectors.sdk.transport import Access
from connectors.virustotal.connector import VirusTotal
from orchestrator.domain.errors import ActionError, Invalid, Rejected, Unavailable, Unknown
from tests.connectors.conftest import serving
from tests.harness.certificates import certificate_for
from tests.harness.outbound_proxy import ForwardProxy

TARGET = "jira.corp.example"
PASSWORD = "pr0xy-s3cret"


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """An app that answers every request with its Host."""
    host = dict(scope["headers"])[b"host"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b'{"host": "%s"}' % host})


async def nowhere(_host: str, _port: int) -> list[str]:
    """A resolver as behind a proxy: names of other networks do not resolve."""
    raise OSError


@asynccontextmanager
async def client(
    proxy: ForwardProxy, base: str, *, resolve: Any = nowhere, credential: str = "", **options: Any
) -> AsyncIterator[HttpClient]:
    url = f"http://{credential}@{proxy.address}" if credential else proxy.url
    http = HttpClient(
        base,
        access=Access.WRITE,
        is_read=lambda request: request.method == "GET",
        proxy=parse_proxy(url),
        egress=Egress([base], resolve),
        **options,
    )
    try:
        yield http
    finally:
        await http.aclose()


@pytest.fixture
async def target() -> AsyncIterator[str]:
    """A system on the loopback, which no name leads to except through the proxy."""
    async with serving(answer) as url:
        yield url


async def test_request_over_tls_passes_the_proxy_as_a_tunnel(tmp_path: Path) -> None:
    files = certificate_for(TARGET, tmp_path)
    async with (
        serving(answer, ssl_certfile=files.certificate, ssl_keyfile=files.key) as url,
        ForwardProxy(url) as proxy,
        client(
            proxy,
            f"https://{TARGET}",
            trust=ssl.create_default_context(cafile=files.certificate),
            headers={"Authorization": "Bearer t0p-s3cret"},
        ) as http,
    ):
        assert (await http.post("/x")).json() == {"host": TARGET}
    assert proxy.asked == [f"CONNECT {TARGET}:443"]
    assert proxy.passed
    assert b"t0p-s3cret" not in proxy.passed


async def test_certificate_of_another_name_is_refused_inside_the_tunnel(tmp_path: Path) -> None:
    files = certificate_for("other.example", tmp_path)
    async with (
        serving(answer, ssl_certfile=files.certificate, ssl_keyfile=files.key) as url,
        ForwardProxy(url) as proxy,
        client(
            proxy,
            f"https://{TARGET}",
            trust=ssl.create_default_context(cafile=files.certificate),
        ) as http,
    ):
        with pytest.raises(Unavailable, match=f"cannot connect to {TARGET} through the proxy"):
            await http.post("/x")


async def test_plain_request_is_forwarded_with_the_credential_of_the_proxy(target: str) -> None:
    async with (
        ForwardProxy(target, credential=f"tocsin:{PASSWORD}") as proxy,
        client(proxy, f"http://{TARGET}", credential=f"tocsin:{PASSWORD}") as http,
    ):
        assert (await http.get("/x")).json() == {"host": TARGET}
    assert proxy.asked == [f"GET http://{TARGET}/x"]


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_absent_proxy_fails_the_request_and_nothing_goes_around_it(
    target: str, scheme: str
) -> None:
    async def at_target(_host: str, _port: int) -> list[str]:
        reached.append(_host)
        return ["203.0.113.7"]

    reached: list[str] = []
    async with ForwardProxy(target) as proxy:
        pass  # its port is free now
    async with client(proxy, f"{scheme}://{TARGET}", resolve=at_target) as http:
        with pytest.raises(Unavailable, match=f"cannot connect to the proxy {proxy.address}"):
            await http.post("/x")
    assert proxy.asked == []


async def test_proxy_that_ends_while_requests_are_sent_is_not_bypassed(target: str) -> None:
    async with ForwardProxy(target) as proxy, client(proxy, f"http://{TARGET}") as http:
        assert (await http.get("/x")).status == 200
        await proxy.__aexit__()
        with pytest.raises((Unavailable, Unknown)):
            await http.post("/x")
        with pytest.raises(Unavailable, match="cannot connect to the proxy"):
            await http.post("/x")


@pytest.mark.parametrize(
    ("status", "error", "text"),
    [
        (407, Rejected, "requires a user and a password"),
        (403, Rejected, f"refuses to connect to {TARGET} \\(403\\); allow the host there"),
        (502, Unavailable, f"cannot reach {TARGET} \\(502\\)"),
        (503, Unavailable, f"cannot reach {TARGET} \\(503\\)"),
    ],
)
async def test_refusal_of_the_proxy_is_named_and_never_unknown(
    target: str, status: int, error: type[ActionError], text: str
) -> None:
    async with (
        ForwardProxy(target, refuse=status) as proxy,
        client(proxy, f"https://{TARGET}", credential=f"tocsin:{PASSWORD}") as http,
    ):
        with pytest.raises(error, match=text) as caught:
            await http.post("/x")
    assert type(caught.value) is error
    assert proxy.address in str(caught.value)
    assert PASSWORD not in str(caught.value)


async def test_wrong_credential_of_a_forwarding_proxy_is_named(target: str) -> None:
    async with (
        ForwardProxy(target, credential="tocsin:right") as proxy,
        client(proxy, f"http://{TARGET}", credential=f"tocsin:{PASSWORD}") as http,
    ):
        with pytest.raises(Rejected, match="requires a user and a password") as caught:
            await http.post("/x")
    assert PASSWORD not in str(caught.value)


async def test_allow_list_and_forbidden_addresses_apply_behind_a_proxy(target: str) -> None:
    async def metadata(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1" if _host == "127.0.0.1" else "169.254.169.254"]

    async with ForwardProxy(target) as proxy:
        async with client(proxy, "https://metadata.example", resolve=metadata) as http:
            with pytest.raises(Rejected, match="no connection may go"):
                await http.get("/x")
        async with client(proxy, f"https://{TARGET}") as http:
            with pytest.raises(Rejected, match="outside this connection"):
                await http.get("https://elsewhere.example/x")
        async with client(proxy, "https://169.254.169.254") as http:
            with pytest.raises(Rejected, match="no connection may go"):
                await http.get("/x")
    assert proxy.asked == []


async def test_proxy_at_a_metadata_address_is_refused() -> None:
    http = HttpClient(
        f"https://{TARGET}",
        access=Access.READ,
        is_read=lambda _: True,
        proxy=parse_proxy("http://169.254.169.254:80"),
        egress=Egress([f"https://{TARGET}"], nowhere),
    )
    with pytest.raises(Rejected, match="no connection may go"):
        await http.get("/x")
    await http.aclose()


@pytest.mark.parametrize(
    ("own", "base_url", "expected"),
    [
        ({}, "https://a.example", "proxy.corp.example:3128"),
        ({}, "https://fw.corp.example", None),
        ({}, "https://10.20.0.1", None),
        ({}, "http://localhost:8", None),
        ({"proxy": "direct"}, "https://a.example", None),
        ({"proxy": "https://own.example"}, "https://fw.corp.example", "own.example:443"),
    ],
)
def test_connection_uses_its_own_proxy_else_that_of_the_installation(
    own: dict[str, str], base_url: str, expected: str | None
) -> None:
    default = OutboundProxy(
        parse_proxy("http://proxy.corp.example:3128"),
        parse_no_proxy(["fw.CORP.example", " 10.0.0.0/8"]),
    )
    chosen = HttpSettings(base_url=base_url, **own).choose_proxy(default)
    assert (chosen.name if chosen else None) == expected


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"proxy": "socks5://p.example:1080"}, "other schemes, such as socks5"),
        ({"proxy": "p.example:3128"}, "write the proxy as"),
        ({"proxy": "http://p.example:99999"}, "write the proxy as"),
        ({"proxy": f"http://u:{PASSWORD}@p.example"}, "use proxy_user and proxy_password"),
        ({"proxy_user": "u"}, "belong to proxy"),
        ({"proxy": "http://p.example", "proxy_password": PASSWORD}, "belongs to proxy_user"),
        ({"proxy": "http://p.example", "base_url": "http://127.0.0.1"}, "no proxy reaches"),
    ],
)
def test_wrong_proxy_of_a_connection_is_refused_without_its_password(
    settings: dict[str, str], named: str
) -> None:
    given = {"base_url": "https://www.virustotal.com", "api_key": "k" * 64, **settings}
    with pytest.raises(Invalid, match=named) as refusal:
        open_connector(VirusTotal, given, Access.READ)
    assert PASSWORD not in str(refusal.value)


def test_password_of_the_proxy_is_a_secret_of_every_http_connection() -> None:
    assert "proxy_password" in secret_fields(HttpSettings)
    assert PASSWORD not in repr(parse_proxy(f"http://u:{PASSWORD}@p.example"))


@pytest.mark.parametrize("entry", ["*", "http://a.example", "a b", "10.0.0.0/40", "a.example:80"])
def test_malformed_entry_of_no_proxy_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="is not a host"):
        parse_no_proxy([entry])


async def test_reply_that_repeats_the_credential_of_the_proxy_is_redacted() -> None:
    proxy = parse_proxy(f"http://u:{PASSWORD}@p.example")
    encoded = httpx.BasicAuth("u", PASSWORD)._auth_header.partition(" ")[2]
    http = HttpClient(
        f"https://{TARGET}",
        access=Access.READ,
        is_read=lambda _: True,
        proxy=proxy,
        transport=httpx.MockTransport(
            lambda _: httpx.Response(400, text=f"you sent {PASSWORD} {encoded}")
        ),
    )
    with pytest.raises(Rejected) as caught:
        await http.get("/x")
    assert PASSWORD not in str(caught.value)
    assert encoded not in str(caught.value)
