"""Rates of requests: by key, address and source, with standard headers and in bounded memory."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from api.app import create_app
from api.client_address import parse_networks, scheme_of
from api.limits import rates
from api.limits.rates import RatePolicy, address_of
from orchestrator.domain.access import Role
from orchestrator.intake.sources import add_source
from orchestrator.runtime import Runtime, open_runtime
from orchestrator.settings import Settings
from tests.harness.databases import migrate_quickly
from tests.harness.people import add_key

SECRET = "a-token-of-32-characters-0123456"


async def limited(folder: Path, **given: int | tuple[str, ...]) -> Runtime:
    rt = open_runtime(Settings.load(data_dir=folder / "data", **given))
    await migrate_quickly(rt)
    return rt


def caller(rt: Runtime, address: str = "192.0.2.1", token: str | None = None) -> httpx.AsyncClient:
    app = create_app(rt, lambda: None)
    return more(app, address, token)


def more(app: object, address: str, token: str | None = None) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    transport = httpx.ASGITransport(app, client=(address, 1234))  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url="http://tocsin", headers=headers)


def test_bucket_fills_again_within_its_window() -> None:
    now = 100.0
    policy = RatePolicy("key", 60, lambda: now)
    found = [policy.take("k") for _ in range(61)]
    assert [each.allowed for each in found if each] == [True] * 60 + [False]
    last = found[-1]
    assert last is not None
    assert last.headers == {
        "RateLimit-Policy": '"key";q=60;w=60',
        "RateLimit": '"key";r=0;t=1',
        "Retry-After": "1",
    }
    now += 1.0
    again = policy.take("k")
    assert again is not None
    assert again.allowed
    now += 3600
    full = policy.take("k")
    assert full is not None
    assert (full.remaining, full.seconds) == (59, 1)


@pytest.mark.attack("send from ever new addresses", before="nothing was counted")
def test_counters_have_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "MAX_BUCKETS", 100)
    policy = RatePolicy("address", 10)
    for number in range(1000):
        policy.take(str(number))
    assert len(policy._buckets) == 100


def test_addresses_of_one_ipv6_network_share_a_rate() -> None:
    one, two = ({"client": (f"2001:db8:1:2::{number}", 1)} for number in (1, 9))
    assert address_of(one) == address_of(two) == "2001:db8:1:2::/64"
    assert address_of({"client": ("192.0.2.1", 1)}) == "192.0.2.1"


@pytest.mark.attack("flood the API with a key", before="requests had no rate")
async def test_key_over_its_rate_is_asked_to_wait(tmp_path: Path) -> None:
    rt = await limited(tmp_path, rate_limit_key=3)
    _, token = await add_key(rt, "ann", [Role.VIEWER], actor="system")
    async with caller(rt, token=token.get_secret_value()) as client:
        replies = [await client.get("/v1/me") for _ in range(4)]
    await rt.close()
    assert [reply.status_code for reply in replies] == [200, 200, 200, 429]
    assert replies[0].headers["RateLimit-Policy"] == '"key";q=3;w=60'
    assert replies[0].headers["RateLimit"].startswith('"key";r=2;t=')
    assert 1 <= int(replies[3].headers["Retry-After"]) <= 20
    assert replies[3].json()["type"] == "urn:tocsin:problem:too-many-requests"


@pytest.mark.attack("flood the API from an address", before="requests had no rate")
async def test_address_over_its_rate_waits_and_others_do_not(tmp_path: Path) -> None:
    rt = await limited(tmp_path, rate_limit_address=2)
    app = create_app(rt, lambda: None)
    async with more(app, "192.0.2.1") as one, more(app, "192.0.2.2") as other:
        replies = [await one.get("/v1/me") for _ in range(3)]
        assert [reply.status_code for reply in replies] == [401, 401, 429]
        assert (await other.get("/v1/me")).status_code == 401
        assert (await one.get("/livez")).status_code == 200, "a probe has no rate"
    await rt.close()


@pytest.mark.attack("guess keys and secrets", before="every guess was answered, and recorded")
async def test_wrong_credentials_of_an_address_have_a_strict_rate(tmp_path: Path) -> None:
    rt = await limited(tmp_path, rate_limit_failures=2)
    _, token = await add_key(rt, "ann", [Role.VIEWER], actor="system")
    app = create_app(rt, lambda: None)
    async with more(app, "192.0.2.1") as guesser:
        wrong = [f"tocsin_{number:016x}_{'a' * 64}" for number in range(2)]
        guesses = [
            await guesser.get("/v1/me", headers={"Authorization": f"Bearer {each}"})
            for each in [*wrong, token.get_secret_value()[:-1] + "x"]
        ]
        assert [guess.status_code for guess in guesses] == [401, 401, 429]
        valid = {"Authorization": f"Bearer {token.get_secret_value()}"}
        assert (await guesser.get("/v1/me", headers=valid)).status_code == 200
    await rt.close()


async def test_deliveries_of_an_address_to_a_source_have_a_rate(tmp_path: Path) -> None:
    """A stranger who floods a source from elsewhere does not silence it."""
    rt = await limited(tmp_path, rate_limit_source=2, rate_limit_failures=100)
    await add_source(rt, "ids", "suricata", "bearer", SecretStr(SECRET), actor="person:ann")
    app = create_app(rt, lambda: None)
    async with more(app, "192.0.2.1") as flood, more(app, "192.0.2.2") as siem:
        replies = [await flood.post("/v1/webhooks/ids", content=b"{}") for _ in range(3)]
        assert [reply.status_code for reply in replies] == [401, 401, 429]
        signed = {"Authorization": f"Bearer {SECRET}", "Content-Type": "application/json"}
        reply = await siem.post("/v1/webhooks/ids", content=b"{}", headers=signed)
        assert reply.status_code not in {401, 429}
    await rt.close()


@pytest.mark.parametrize(
    ("peer", "named", "scheme"),
    [
        ("10.0.0.1", b"https", "https"),
        ("10.0.0.1", b"gopher", "http"),
        ("10.0.0.1", None, "http"),
        ("198.51.100.1", b"https", "http"),  # not a proxy that is trusted
    ],
)
def test_scheme_is_what_a_trusted_proxy_names(peer: str, named: bytes | None, scheme: str) -> None:
    headers = [(b"x-forwarded-proto", named)] if named else []
    scope = {"scheme": "http", "client": (peer, 1), "headers": headers}
    assert scheme_of(scope, parse_networks(("10.0.0.0/8",))) == scheme


async def test_answers_over_tls_demand_tls_from_then_on(tmp_path: Path) -> None:
    rt = await limited(tmp_path, trusted_proxies=("10.0.0.1",))
    async with caller(rt, "10.0.0.1") as client:
        plain = await client.get("/livez")
        secure = await client.get("/livez", headers={"X-Forwarded-Proto": "https"})
    await rt.close()
    assert "strict-transport-security" not in plain.headers
    assert secure.headers["strict-transport-security"] == "max-age=31536000"
