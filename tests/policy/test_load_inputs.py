"""Facts of an evaluation: tags in every spelling, unknown assets, limit usage, own infrastructure."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.assets.inventory import import_assets
from orchestrator.domain.change import Change, Effect
from orchestrator.playbook.plan import Limits
from orchestrator.policy.document import Policy
from orchestrator.policy.evaluate import ChangeContext, ChangeFacts, PolicyInForce
from orchestrator.policy.load_inputs import load_facts, release_stop_reason
from orchestrator.policy.stops.kill_switches import engage
from orchestrator.runtime import Runtime
from orchestrator.store.tables import EffectRow, OwnRow
from tests.harness.databases import START, opened

INVENTORY = [
    {
        "type": "host",
        "value": "dc-01.corp.example",
        "kind": "domain_controller",
        "tags": ["tier-0"],
    },
    {"type": "host", "value": "ws-1", "tags": ["finance"]},
    {"type": "user", "value": "ceo@corp.example", "tags": ["executive"]},
    {"type": "network", "value": "10.20.0.0/16", "tags": ["own-network"]},
    {"type": "network", "value": "10.30.0.0/24", "tags": ["guests"]},
    {"type": "network", "value": "2001:db8:1::/48", "tags": ["own-network", "v6"]},
    {"type": "address", "value": "10.20.0.7", "critical": True},
]
CONTEXT = ChangeContext(playbook="c2", source="siem", limits=Limits(hosts_per_run=3))


@pytest.fixture
async def rt(tmp_path: Path, database: str | None) -> AsyncIterator[Runtime]:
    async with opened(tmp_path, database) as [runtime]:
        await import_assets(runtime, INVENTORY, actor="person:ann")
        yield runtime


def change(kind: str, value: str, effect: Effect = Effect.CONTAIN, **planned_change: Any) -> Change:
    return Change(
        connection="edge",
        connector="palo_alto",
        action="act",
        effect=effect,
        input={},
        planned_change={
            "target": {"type": kind, "value": value},
            "changed": True,
            "summary": "",
            **planned_change,
        },
    )


async def facts_of(
    rt: Runtime,
    planned: Change,
    limits: dict[str, Any] | None = None,
    context: ChangeContext = CONTEXT,
) -> ChangeFacts:
    policy = Policy.model_validate({"limits": limits or {}})
    async with rt.store.write() as session:
        return await load_facts(
            session, planned, "run_1", START, context, PolicyInForce(1, policy.digest, policy)
        )


async def touch(rt: Runtime, kind: str, *values: str, **columns: Any) -> None:
    """Effects on these targets, a minute ago."""
    usual: dict[str, Any] = {
        "run_id": "run_0",
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
    usual |= {"state": "applied", "intended_at": START - timedelta(minutes=1), **columns}
    async with rt.store.write() as session:
        session.add_all(
            EffectRow(id=f"{kind}/{value}/{columns}", target_type=kind, target_value=value, **usual)
            for value in values
        )


@pytest.mark.parametrize(
    ("kind", "value", "tags"),
    [
        ("host", "DC-01", {"tier-0", "domain-controller", "critical"}),
        ("host", "dc-01.corp.example.", {"tier-0", "domain-controller", "critical"}),
        ("host", "dc-01.other.example", set()),
        ("user", r"CORP\ceo", {"executive"}),
        ("email", "CEO@corp.example", {"executive"}),
        ("user", "ceo@elsewhere.example", set()),
        ("address", "10.20.0.7", {"own-network", "critical"}),
        ("address", "::ffff:10.20.0.7", {"own-network", "critical"}),
        ("address", "64:ff9b::10.20.0.7", {"own-network", "critical"}),
        ("address", "2001:db8:1:2::9", {"own-network", "v6"}),
        ("network", "10.20.0.0/24", {"own-network", "critical"}),
        ("network", "10.16.0.0/12", {"own-network", "guests", "critical"}),
        ("network", "2001:db8::/32", {"own-network", "v6"}),
        ("network", "64:ff9b::10.20.0.0/120", {"own-network", "critical"}),
        ("domain", "corp.example", set()),
    ],
)
async def test_a_target_has_the_tags_of_its_asset_and_networks(
    rt: Runtime, kind: str, value: str, tags: set[str]
) -> None:
    facts = await facts_of(rt, change(kind, value))
    assert set(facts.tags) == tags
    assert facts.critical is ("critical" in tags)


async def test_a_host_has_the_tags_of_its_names_on_the_device(rt: Runtime) -> None:
    facts = await facts_of(rt, change("host", "f00dcafe", host_name="DC-01", address="10.30.0.9"))
    assert {"tier-0", "guests", "critical"} <= set(facts.tags)
    assert facts.known


@pytest.mark.parametrize(
    ("kind", "value", "is_known"),
    [
        ("host", "ws-1.corp.example", True),
        ("host", "ws-2", False),
        ("user", "ceo", True),
        ("user", "eve", False),
        ("email", "eve@corp.example", False),
        ("address", "10.20.9.9", True),
        ("address", "10.30.0.9", False),
        ("address", "192.168.1.1", False),
        ("address", "fd00::1", False),
        ("address", "::ffff:192.168.1.1", False),
        ("address", "64:ff9b::192.168.1.1", False),
        ("address", "198.51.100.7", True),
        ("network", "10.20.4.0/24", True),
        ("network", "10.0.0.0/8", False),
        ("network", "10.30.0.0/24", True),
        ("network", "10.30.0.0/25", False),
        ("network", "0.0.0.0/0", False),
        ("network", "198.51.100.0/24", True),
        ("domain", "evil.example", True),
    ],
)
async def test_an_internal_target_outside_the_inventory_is_unknown(
    rt: Runtime, kind: str, value: str, *, is_known: bool
) -> None:
    assert (await facts_of(rt, change(kind, value))).known is is_known


def usage(facts: ChangeFacts) -> dict[str, tuple[str, int, int | None, int]]:
    return {
        f"{used.per}:{used.name}:{used.kind}": (used.kind, used.limit, used.others, used.adds)
        for used in facts.used
    }


async def test_each_limit_counts_its_own_different_targets(rt: Runtime) -> None:
    await touch(rt, "host", "a", "b", run_id="run_1")
    await touch(rt, "host", "a", "c", "d")
    await touch(rt, "host", "e", source="other", playbook="other", connector="other")
    await touch(rt, "host", "f", state="failed")
    await touch(rt, "host", "g", effect="notify")
    await touch(rt, "host", "h", intended_at=START - timedelta(hours=2))
    await touch(rt, "user", "u")
    windows = [
        {"per": per, "within": "1h", "hosts": 9}
        for per in ("overall", "playbook", "source", "connector")
    ]
    facts = await facts_of(
        rt,
        change("host", "z"),
        {"per_run": {"hosts": 5}, "windows": [*windows, {"within": "1d", "hosts": 50}]},
    )
    assert [(used.per, used.name, used.within, used.limit, used.others) for used in facts.used] == [
        ("run", "", None, 5, 2),
        ("run", "c2", None, 3, 2),
        ("overall", "", 3600, 9, 5),
        ("playbook", "c2", 3600, 9, 4),
        ("source", "siem", 3600, 9, 4),
        ("connector", "palo_alto", 3600, 9, 4),
        ("overall", "", 86400, 50, 6),
    ]


async def test_a_counted_target_does_not_count_again(rt: Runtime) -> None:
    await touch(rt, "host", "a", source="other")
    windows = [{"per": per, "within": "1h", "hosts": 9} for per in ("overall", "source")]
    facts = await facts_of(rt, change("host", "a"), {"windows": windows})
    assert [used.others for used in facts.used if used.per != "run"] == [None, 0]


async def test_a_network_counts_as_its_addresses(rt: Runtime) -> None:
    await touch(rt, "network", "198.51.100.0/24", "203.0.113.0/28")
    await touch(rt, "address", "192.0.2.1")
    limits = {"windows": [{"within": "1h", "addresses": 1000, "networks": 20}]}
    assert usage(await facts_of(rt, change("address", "192.0.2.2"), limits))[
        "overall::addresses"
    ] == (
        "addresses",
        1000,
        273,
        1,
    )
    wide = usage(await facts_of(rt, change("network", "10.0.0.0/8"), limits))
    assert wide["overall::networks"] == ("networks", 20, 2, 1)
    assert wide["overall::addresses"] == ("addresses", 1000, 273, 2**24)
    again = usage(await facts_of(rt, change("network", "203.0.113.0/28"), limits))
    assert [others for _, _, others, _ in again.values()] == [None, None]
    assert (
        usage(await facts_of(rt, change("network", "2001:db8::/56"), limits))["overall::addresses"][
            3
        ]
        == 256
    )
    assert (
        usage(await facts_of(rt, change("network", "2001:db8::/96"), limits))["overall::addresses"][
            3
        ]
        == 1
    )


async def test_a_run_of_a_person_counts_for_no_source(rt: Runtime) -> None:
    facts = await facts_of(
        rt,
        change("host", "z"),
        {"windows": [{"per": "source", "within": "1h", "hosts": 9}]},
        ChangeContext(playbook="c2"),
    )
    assert facts.used == ()


@pytest.mark.parametrize(
    "planned", [change("host", "z", Effect.NOTIFY), change("host", "z", changed=False)]
)
async def test_a_change_that_contains_nothing_uses_no_limit(rt: Runtime, planned: Change) -> None:
    assert (await facts_of(rt, planned, {"windows": [{"within": "1h", "hosts": 9}]})).used == ()


async def test_own_infrastructure_is_what_any_process_saw_recently(rt: Runtime) -> None:
    rows = [("a", "10.0.0.1", 0), ("b", "10.0.0.1", 1), ("b", "10.0.0.2", 6), ("c", "10.0.0.3", 8)]
    async with rt.store.write() as session:
        session.add_all(
            OwnRow(
                node=node,
                type="address",
                value=value,
                why="a gateway",
                seen_at=START - timedelta(days=days),
            )
            for node, value, days in rows
        )
    assert [own.value for own in (await facts_of(rt, change("address", "10.0.0.1"))).own] == [
        "10.0.0.1",
        "10.0.0.2",
    ]
    assert (await facts_of(rt, change("address", "10.0.0.1", Effect.RESTORE))).own == ()


async def test_releases_stop_only_by_a_switch_that_stops_releases(rt: Runtime) -> None:
    where: dict[str, Any] = {
        "connection": "edge",
        "connector": "palo_alto",
        "playbook": "c2",
        "source": "siem",
    }

    async def stopped() -> str | None:
        async with rt.store.read() as session:
            return await release_stop_reason(session, **where)

    await engage(rt, "global", "*", "all", actor="person:ann")
    await engage(rt, "source", "other", "not this", actor="person:ann", stop_releases=True)
    assert await stopped() is None
    for scope, name in (
        ("source", "siem"),
        ("playbook", "c2"),
        ("connection", "palo_alto"),
        ("connection", "edge"),
        ("global", "*"),
    ):
        await engage(rt, scope, name, "drill", actor="person:ann", stop_releases=True)
        assert "drill" in (await stopped() or "")
        await engage(rt, scope, name, "drill", actor="person:ann")
        assert await stopped() is None
