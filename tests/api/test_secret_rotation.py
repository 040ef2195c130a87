"""A source's secret is rotated: the old one is accepted for the overlap, and not a moment longer."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Invalid, NotFound
from orchestrator.intake import sources
from orchestrator.intake.accept import accept
from orchestrator.intake.authenticate import NotAuthentic
from orchestrator.runtime import Runtime
from tests.harness.api_calls import EDGE, SECRET, add_edge, alert, events, is_problem

NEW = "another-secret-that-is-long-enough"
LATER = "a-third-secret-that-is-long-enough"
START = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)


def at(rt: Runtime, moment: datetime) -> Runtime:
    return dataclasses.replace(rt, clock=lambda: moment)


async def is_accepted(rt: Runtime, secret: str, moment: datetime = START) -> bool:
    headers = [
        (b"authorization", f"Bearer {secret}".encode()),
        (b"content-type", b"application/json"),
    ]
    try:
        await accept(at(rt, moment), "edge", headers, alert())
    except NotAuthentic:
        return False
    return True


async def rotated(admin: httpx.AsyncClient, **body: object) -> dict[str, object]:
    reply = await admin.post("/v1/sources/edge/rotate", json=body)
    assert reply.status_code == 200, reply.text
    found: dict[str, object] = reply.json()
    return found


async def test_both_secrets_are_accepted_until_the_overlap_ends(
    rt: Runtime, admin: httpx.AsyncClient
) -> None:
    await add_edge(admin)
    view, made = await sources.rotate_secret(
        at(rt, START), "edge", overlap=timedelta(hours=1), secret=SecretStr(NEW), actor="person:ann"
    )
    assert (view.old_secret_expires_at, made) == (START + timedelta(hours=1), None)
    end = START + timedelta(hours=1)
    for moment, accepted in (
        (START, (True, True)),
        (end - timedelta(microseconds=1), (True, True)),
        (end, (False, True)),
        (end + timedelta(days=1), (False, True)),
    ):
        assert (
            await is_accepted(rt, SECRET, moment),
            await is_accepted(rt, NEW, moment),
        ) == accepted
        assert not await is_accepted(rt, "neither-of-the-two-secrets", moment)


async def test_generated_secret_is_shown_once_and_the_overlap_always(
    rt: Runtime, admin: httpx.AsyncClient
) -> None:
    await add_edge(admin)
    answer = await rotated(admin, overlap=3600)
    assert await is_accepted(rt, str(answer["secret"]))
    assert answer["secret"] != SECRET
    shown = (await admin.get("/v1/sources/edge")).json()
    assert shown["old_secret_expires_at"] == answer["old_secret_expires_at"]
    (listed,) = (await admin.get("/v1/sources")).json()["items"]
    assert listed["old_secret_expires_at"] == answer["old_secret_expires_at"]
    (event,) = await events(rt, EventKind.SOURCE_ROTATED)
    assert event.actor == "person:admin-person"
    assert event.data == {"old_accepted_until": answer["old_secret_expires_at"], "generated": True}
    for known in (SECRET, str(answer["secret"])):
        assert known not in str([event.data, shown, listed])


async def test_secret_that_others_know_is_refused_at_once(
    rt: Runtime, admin: httpx.AsyncClient
) -> None:
    await add_edge(admin)
    await rotated(admin, overlap=3600, secret=NEW)
    answer = await rotated(admin, overlap=0, secret=LATER)
    assert answer["old_secret_expires_at"] is None
    found = [await is_accepted(rt, each, datetime.now(UTC)) for each in (SECRET, NEW, LATER)]
    assert found == [False, False, True]


async def test_rotation_is_refused_for_weak_secrets_and_long_overlaps(
    rt: Runtime, admin: httpx.AsyncClient
) -> None:
    await add_edge(admin)
    for body in ({"overlap": 60, "secret": "short"}, {"overlap": -1}, {"overlap": 31 * 86400}, {}):
        is_problem(await admin.post("/v1/sources/edge/rotate", json=body), 422)
    is_problem(await admin.post("/v1/sources/none/rotate", json={"overlap": 0}), 404)
    stale = {"if-match": '"0123456789abcdef"'}
    path = "/v1/sources/edge/rotate"
    is_problem(await admin.post(path, json={"overlap": 0}, headers=stale), 412)
    assert await is_accepted(rt, SECRET)
    with pytest.raises(Invalid):
        await sources.rotate_secret(rt, "edge", overlap=timedelta(days=31), actor="person:ann")
    with pytest.raises(NotFound):
        await sources.rotate_secret(rt, "none", overlap=timedelta(0), actor="person:ann")


@pytest.mark.attack(
    "a writer of the database extends the time for which a rotated secret is accepted",
    before="there was no rotation: a secret that leaked was good until the source was removed",
)
async def test_extended_overlap_is_not_believed(
    rt: Runtime, admin: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    await add_edge(admin)
    await sources.rotate_secret(
        at(rt, START), "edge", overlap=timedelta(seconds=1), actor="person:ann"
    )
    refused = await stranger.post("/v1/webhooks/edge", content=alert(), headers=EDGE)
    is_problem(refused, 401)
    async with rt.store.write() as session:
        await session.execute(
            text("UPDATE sources SET old_secret_expires_at = '2099-01-01 00:00:00'")
        )
    answer = await stranger.post("/v1/webhooks/edge", content=alert(), headers=EDGE)
    assert answer.status_code in {401, 404}
