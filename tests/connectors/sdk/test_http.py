"""The HTTP client: the error of each reply and broken connection, without secrets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from connectors.sdk.call import ActionCall, in_call
from connectors.sdk.http import HttpClient
from connectors.sdk.rate_limit import RateLimit, TokenBucket
from connectors.sdk.reply import retry_after
from connectors.sdk.transport import Access
from orchestrator.domain.errors import Rejected, Unavailable, Unknown

SECRET = "s3cr3t-of-the-connection"


def client(answer: Any, access: Access = Access.WRITE, **options: Any) -> HttpClient:
    """Return a client with one answer: a response, an exception, or a function of the request."""

    def handle(request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        reply: httpx.Response = answer(request) if callable(answer) else answer
        return reply

    return HttpClient(
        "https://system.example/api",
        access=access,
        is_read=lambda request: request.method == "GET",
        transport=httpx.MockTransport(handle),
        secrets=[SECRET],
        **options,
    )


@pytest.mark.parametrize(
    ("answer", "read", "write"),
    [
        (httpx.ConnectError("refused"), Unavailable, Unavailable),
        (httpx.ConnectTimeout("slow"), Unavailable, Unavailable),
        (httpx.PoolTimeout("full"), Unavailable, Unavailable),
        (httpx.ReadTimeout("slow"), Unavailable, Unknown),
        (httpx.WriteError("broken"), Unavailable, Unknown),
        (httpx.RemoteProtocolError("gone"), Unavailable, Unknown),
        (httpx.Response(500), Unavailable, Unknown),
        (httpx.Response(502), Unavailable, Unknown),
        (httpx.Response(503), Unavailable, Unavailable),
        (httpx.Response(429), Unavailable, Unavailable),
        (httpx.Response(400), Rejected, Rejected),
        (httpx.Response(401), Rejected, Rejected),
        (httpx.Response(403), Rejected, Rejected),
        (httpx.Response(404), Rejected, Rejected),
        (
            httpx.Response(302, headers={"Location": "https://elsewhere.example"}),
            Rejected,
            Rejected,
        ),
    ],
    ids=str,
)
async def test_failure_maps_to_the_error_for_the_engine(
    answer: Any, read: type[Exception], write: type[Exception]
) -> None:
    http = client(answer)
    with pytest.raises(read) as reading:
        await http.get("/thing")
    with pytest.raises(write) as writing:
        await http.post("/thing")
    assert type(reading.value) is read
    assert type(writing.value) is write
    assert "POST /api/thing" in str(writing.value)


async def test_invalid_json_is_unavailable_for_a_read_and_unknown_for_a_write() -> None:
    http = client(httpx.Response(200, content=b"<html>"))
    with pytest.raises(Unavailable):
        (await http.get("/thing")).json()
    with pytest.raises(Unknown):
        (await http.post("/thing")).json()


class Job(BaseModel):
    """A reply with a job id."""

    job: int


@pytest.mark.parametrize(
    ("body", "words"), [(b"<html>", "is not JSON"), (b'{"job": "x"}', "has no valid job")]
)
async def test_reply_that_does_not_fit_its_model_is_unreadable(body: bytes, words: str) -> None:
    http = client(httpx.Response(200, content=body))
    with pytest.raises(Unavailable, match=words):
        (await http.get("/thing")).parse(Job)
    with pytest.raises(Unknown, match=words):
        (await http.post("/thing")).parse(Job)


async def test_reply_is_parsed_as_its_model() -> None:
    reply = await client(httpx.Response(200, content=b'{"job": 4, "more": 1}')).get("/thing")
    assert reply.parse(Job) == Job(job=4)


async def test_silent_system_times_out() -> None:
    class Silent(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await asyncio.Event().wait()
            raise AssertionError

    options: dict[str, Any] = {
        "access": Access.WRITE,
        "is_read": lambda request: request.method == "GET",
        "transport": Silent(),
    }
    http = HttpClient("https://system.example", timeout=timedelta(milliseconds=20), **options)
    with pytest.raises(Unavailable, match="no reply in time"):
        await http.get("/thing")
    with pytest.raises(Unknown, match="no reply in time"):
        await http.post("/thing")


async def test_oversized_reply_is_refused() -> None:
    http = client(lambda _: httpx.Response(200, content=b"x" * 1001), max_response_bytes=1000)
    with pytest.raises(Rejected, match="longer than 1000 bytes"):
        await http.get("/thing")
    with pytest.raises(Unknown, match="longer than 1000 bytes"):
        await http.post("/thing")


async def test_expected_statuses_are_returned_like_every_2xx() -> None:
    assert (await client(httpx.Response(404)).get("/thing", ok_statuses=(404,))).status == 404
    assert (await client(httpx.Response(202)).get("/thing", ok_statuses=(404,))).status == 202


async def test_secrets_in_a_reply_are_redacted() -> None:
    def echo(request: httpx.Request) -> httpx.Response:
        return httpx.Response(
            400,
            text=f"bad {SECRET} and {request.headers['Authorization']}\x00\x1b[31m " + "x" * 900,
        )

    with pytest.raises(Rejected) as caught:
        await client(echo).get("/thing", headers={"Authorization": "Bearer made-of-the-secret"})
    text = str(caught.value)
    assert SECRET not in text
    assert "made-of-the-secret" not in text
    assert text.isprintable()
    assert len(text) < 400


async def test_retry_after_of_the_reply_is_used() -> None:
    with pytest.raises(Unavailable) as caught:
        await client(httpx.Response(429, headers={"Retry-After": "17"})).get("/thing")
    assert caught.value.retry_after == timedelta(seconds=17)


def test_retry_after_is_seconds_or_a_date_and_at_most_an_hour() -> None:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def wait(value: str) -> timedelta | None:
        return retry_after(httpx.Headers({"Retry-After": value}), now)

    assert wait("0") == timedelta()
    assert wait("999999999") == timedelta(hours=1)
    assert wait(format_datetime(now + timedelta(seconds=90), usegmt=True)) == timedelta(seconds=90)
    assert wait(format_datetime(now - timedelta(days=1), usegmt=True)) == timedelta()
    assert [wait(value) for value in ("", "soon", "-3", "1.5", "Wed, 99 Foo")] == [None] * 5


async def test_writes_and_not_reads_carry_the_tag() -> None:
    tags: list[str | None] = []

    def note(request: httpx.Request) -> httpx.Response:
        tags.append(request.headers.get("Idempotency-Key"))
        return httpx.Response(200)

    http, call = client(note), ActionCall.bare("step-1")
    with in_call(call):
        await http.get("/thing")
        await http.post("/thing")
        await http.post("/thing", headers={"Idempotency-Key": "the vendor's own"})
    assert tags == [None, call.tag, "the vendor's own"]


async def test_read_access_sends_no_write() -> None:
    def never(_request: httpx.Request) -> httpx.Response:
        raise AssertionError

    with pytest.raises(Rejected, match="DELETE /api/thing is a write"):
        await client(never, Access.READ).delete("/thing")


@pytest.mark.parametrize("path", ["/a/../b", "/a/%2e%2e/b", "/a/%2E./b", "/./a", ".."])
async def test_path_with_dot_segments_is_refused(path: str) -> None:
    with pytest.raises(Rejected, match="dot segments"):
        await client(httpx.Response(200)).get(path)


async def test_another_host_is_refused() -> None:
    for url in (
        "https://elsewhere.example/",
        "https://system.example:444/",
        "http://system.example/",
        "https://169.254.169.254/",
    ):
        with pytest.raises(Rejected, match="outside this connection"):
            await client(httpx.Response(200)).get(url)


async def test_cookies_are_discarded() -> None:
    cookies: list[str | None] = []

    def note(request: httpx.Request) -> httpx.Response:
        cookies.append(request.headers.get("Cookie"))
        return httpx.Response(200, headers={"Set-Cookie": "session=1"})

    http = client(note)
    await http.get("/thing")
    await http.get("/thing")
    assert cookies == [None, None]


async def test_environment_proxies_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    reply = await client(httpx.Response(200, content=json.dumps({"a": 1}).encode())).get("/thing")
    assert reply.json() == {"a": 1}


class Clock:
    """A clock that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_bucket_allows_a_burst_and_then_spaces_turns() -> None:
    bucket = TokenBucket(RateLimit(2, per=timedelta(seconds=1)), clock=Clock())
    assert [round(bucket.reserve(), 6) for _ in range(5)] == [0, 0, 0.5, 1, 1.5]


def test_bucket_refills() -> None:
    clock = Clock()
    bucket = TokenBucket(RateLimit(2), clock=clock)
    take: Callable[[], float] = bucket.reserve
    take(), take()
    clock.now += 10
    assert (take(), take()) == (0, 0)
    assert round(take(), 6) == 0.5


def test_distant_turn_is_unavailable_and_not_reserved() -> None:
    bucket = TokenBucket(
        RateLimit(1, per=timedelta(seconds=15)), longest_wait=timedelta(seconds=20), clock=Clock()
    )
    assert [bucket.reserve(), bucket.reserve()] == [0, 15]
    for _ in range(2):
        with pytest.raises(Unavailable) as caught:
            bucket.reserve()
        assert caught.value.retry_after == timedelta(seconds=30)
