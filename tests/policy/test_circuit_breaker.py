"""Circuit breakers: they trip once on an unusual number of containments, and can be reset."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from orchestrator.domain.change import Change, Effect
from orchestrator.domain.errors import NotFound
from orchestrator.policy.sections import Breaker
from orchestrator.policy.stops.circuit_breaker import (
    list_breakers,
    reset_breaker,
    trip_if_unusual,
    trip_reason,
)
from orchestrator.runtime import Runtime
from orchestrator.store.tables import AuditEventRow, EffectRow, TaskRow
from tests.harness.databases import START, opened

RULES = Breaker(within=3600, at_least=5, factor=3, compared_with=24 * 3600, by="soc")


@pytest.fixture
async def rt(tmp_path: Path, database: str | None) -> AsyncIterator[Runtime]:
    async with opened(tmp_path, database) as [runtime]:
        yield runtime


def change(
    value: str = "198.51.100.99", effect: Effect = Effect.CONTAIN, *, changed: bool = True
) -> Change:
    planned_change = {
        "target": {"type": "address", "value": value},
        "changed": changed,
        "summary": "",
    }
    return Change(
        connection="edge",
        connector="palo_alto",
        action="act",
        effect=effect,
        input={},
        planned_change=planned_change,
    )


async def contained(rt: Runtime, count: int, minutes: int, **columns: Any) -> None:
    """That many different addresses, so many minutes ago."""
    at = START - timedelta(minutes=minutes)
    usual: dict[str, Any] = {
        "run_id": "r",
        "path": "p",
        "seq": 1,
        "playbook": "c2",
        "source": "siem",
        "connection": "edge",
    }
    usual |= {
        "connector": "palo_alto",
        "action": "act",
        "effect": "contain",
        "containment_key": "k",
        "change": {},
        "change_digest": "d",
    }
    usual |= {"state": "applied", "target_type": "address", "intended_at": at, **columns}
    async with rt.store.write() as session:
        rows = (
            EffectRow(
                id=f"{minutes}/{number}/{columns}", target_value=f"198.51.100.{number}", **usual
            )
            for number in range(count)
        )
        session.add_all(rows)


async def trip(
    rt: Runtime, planned: Change | None = None, source: str | None = "siem"
) -> str | None:
    async with rt.store.write() as session:
        return await trip_if_unusual(session, planned or change(), source, START, RULES)


async def kinds(rt: Runtime) -> list[str]:
    async with rt.store.read() as session:
        return [
            row.kind
            for row in await session.scalars(select(AuditEventRow).order_by(AuditEventRow.number))
        ]


async def test_the_change_beyond_the_threshold_trips_the_breaker_once(rt: Runtime) -> None:
    await contained(rt, 3, 10)
    assert await trip(rt) is None
    await contained(rt, 1, 20, target_type="host")
    reason = await trip(rt)
    assert reason == "source siem had 5 targets contained within 1:00:00, and 0.0 on average before"
    assert await trip(rt, change("198.51.100.200")) == reason
    assert await trip(rt, change(effect=Effect.NOTIFY)) == reason
    assert await kinds(rt) == ["policy:breaker:tripped", "task:opened"]
    assert [view.source for view in await list_breakers(rt)] == ["siem"]
    async with rt.store.read() as session:
        assert await trip_reason(session, "siem") == reason
        assert await trip_reason(session, "other") is None
        [task] = await session.scalars(select(TaskRow))
    assert (task.kind, task.subject, task.to_group) == ("breaker", "siem", "soc")


async def test_a_usual_number_of_containments_does_not_trip(rt: Runtime) -> None:
    for hour in range(1, 25):
        await contained(rt, 3, 60 * hour + 30)
    await contained(rt, 8, 5)
    assert await trip(rt) is None  # 9 is not more than 3 times 3
    await contained(rt, 1, 6, target_type="host")
    assert "3.0 on average before" in (await trip(rt) or "")


async def test_a_repeated_target_counts_once(rt: Runtime) -> None:
    for minutes in range(1, 20):
        await contained(rt, 1, minutes)
    assert await trip(rt) is None


@pytest.mark.parametrize(
    "columns",
    [
        {"source": "other"},
        {"source": None},
        {"state": "failed"},
        {"effect": "destroy"},
        {"intended_at": START - timedelta(hours=2)},
    ],
)
async def test_only_recent_containments_of_the_source_count(
    rt: Runtime, columns: dict[str, Any]
) -> None:
    await contained(rt, 50, 10, **columns)
    assert await trip(rt) is None


@pytest.mark.parametrize(
    ("planned", "source"),
    [
        (change(effect=Effect.NOTIFY), "siem"),
        (change(changed=False), "siem"),
        (change(), None),
        (change(), "other"),
    ],
)
async def test_only_a_containment_for_the_source_trips(
    rt: Runtime, planned: Change, source: str | None
) -> None:
    await contained(rt, 50, 10)
    assert await trip(rt, planned, source) is None


async def test_after_a_reset_earlier_containments_do_not_count(rt: Runtime) -> None:
    await contained(rt, 9, 10)
    assert await trip(rt)
    await reset_breaker(rt, "siem", actor="person:ann")
    assert await list_breakers(rt) == ()
    assert await trip(rt) is None
    with pytest.raises(NotFound):
        await reset_breaker(rt, "siem", actor="person:ann")
    await contained(rt, 9, -1)
    assert await trip(rt)
    assert [
        kind.split(":", 1)[-1] if kind.count(":") > 1 else kind for kind in await kinds(rt)
    ] == [
        "breaker:tripped",
        "task:opened",
        "breaker:reset",
        "task:closed",
        "breaker:tripped",
        "task:opened",
    ]
