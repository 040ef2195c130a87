"""Containing what is internal is never silent, by any of its names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.assets.inventory import import_assets, list_assets, remove_asset
from orchestrator.domain.change import Change, Effect, PolicyVerdict
from orchestrator.domain.errors import Invalid
from orchestrator.policy.document import Policy, parse_policy
from orchestrator.policy.evaluate import ChangeContext, PolicyInForce, evaluate
from orchestrator.policy.load_inputs import load_facts
from orchestrator.runtime import Runtime
from tests.harness.databases import START, opened

DEVICE = "0123456789abcdef0123456789abcdef"
INVENTORY: list[dict[str, Any]] = [
    {"type": "network", "value": "10.30.0.0/24", "tags": ["own-network"]},
    {"type": "network", "value": "10.66.0.0/24", "tags": ["own-network", "auto-contain"]},
    {
        "type": "host",
        "value": "db-01",
        "critical": True,
        "also": ["db-01.corp.example", "10.30.0.31", "2001:db8::31", DEVICE],
    },
    {"type": "host", "value": "ws-1", "tags": ["auto-contain"], "also": ["10.30.0.1"]},
    {"type": "host", "value": "ws-2", "also": ["10.30.0.2"]},
    {"type": "host", "value": "shared", "tags": ["auto-contain"], "also": ["10.30.0.2"]},
    {"type": "user", "value": "j.doe@corp.example", "also": [r"CORP\jdoe"]},
]
CONTEXT = ChangeContext(playbook="p")
DB_NAMES = [
    ("host", "db-01"),
    ("host", "DB-01.corp.example"),
    ("host", DEVICE),
    ("address", "10.30.0.31"),
    ("address", "::ffff:10.30.0.31"),
    ("address", "64:ff9b::10.30.0.31"),
    ("address", "2001:db8::31"),
    ("network", "10.30.0.31/32"),
    ("network", "10.30.0.24/29"),
    ("domain", "db-01.corp.example"),
    ("url", "https://10.30.0.31/admin"),
    ("url", "https://db-01.corp.example/admin"),
]


@pytest.fixture
async def rt(tmp_path: Path, database: str | None) -> AsyncIterator[Runtime]:
    async with opened(tmp_path, database) as [runtime]:
        await import_assets(runtime, INVENTORY, actor="person:ann")
        yield runtime


async def verdict(rt: Runtime, kind: str, value: str, policy: str = "rules: []") -> PolicyVerdict:
    """Return what the policy says of containing a target."""
    planned = {"target": {"type": kind, "value": value}, "changed": True, "summary": ""}
    change = Change(
        connection="edge",
        connector="palo_alto",
        action="contain",
        effect=Effect.CONTAIN,
        input={},
        planned_change=planned,
    )
    parsed: Policy = parse_policy(policy)
    in_force = PolicyInForce(1, parsed.digest, parsed)
    async with rt.store.read() as session:
        facts = await load_facts(session, change, None, START, CONTEXT, in_force)
    return evaluate(change, in_force, facts, CONTEXT)


@pytest.mark.attack(
    "name a critical server by its address, its device id or another name",
    before="db-01 was blocked by its address without a question",
)
@pytest.mark.parametrize(("kind", "value"), DB_NAMES)
async def test_critical_server_is_that_server_by_every_name(
    rt: Runtime, kind: str, value: str
) -> None:
    asked = await verdict(rt, kind, value)
    assert (asked.outcome, asked.rule) == ("ask", "default:critical")
    assert (await verdict(rt, kind, value, "protect: {hosts: [db-01]}")).outcome == "deny"
    ruled = await verdict(rt, kind, value, "rules: [{tags: critical, deny: never}]")
    assert ruled.outcome == "deny"


@pytest.mark.attack(
    "have an own host, user or address contained that the inventory does not call critical",
    before="it was contained without a question",
)
@pytest.mark.parametrize(
    ("kind", "value", "rule"),
    [
        ("host", "ws-2", "default:internal"),
        ("address", "10.30.0.77", "default:internal"),
        ("address", "192.168.7.7", "default:unknown"),
        ("network", "10.30.0.64/28", "default:internal"),
        ("user", r"CORP\jdoe", "default:internal"),
        ("user", "jdoe", "default:internal"),
        ("host", "ghost", "default:unknown"),
    ],
)
async def test_containing_what_is_internal_asks(
    rt: Runtime, kind: str, value: str, rule: str
) -> None:
    asked = await verdict(rt, kind, value)
    assert (asked.outcome, asked.rule) == ("ask", rule)


async def test_what_the_inventory_singles_out_needs_no_approval(rt: Runtime) -> None:
    for kind, value in (
        ("host", "ws-1"),
        ("address", "10.30.0.1"),
        ("address", "10.66.0.9"),
        ("network", "10.66.0.0/25"),
    ):
        assert (await verdict(rt, kind, value)).rule == "default:auto-contain", value
    assert (await verdict(rt, "address", "203.0.113.9")).rule == "default:rest"


@pytest.mark.attack(
    "contain a network, or an address of two hosts, of which only a part is harmless",
    before="the tag of a part allowed the whole",
)
async def test_tag_of_a_part_does_not_allow_the_whole(rt: Runtime) -> None:
    assert (await verdict(rt, "network", "10.30.0.0/28")).rule == "default:internal"
    assert (await verdict(rt, "address", "10.30.0.2")).rule == "default:internal"
    by_tag = "rules: [{tags: auto-contain, allow: true}]"
    assert (await verdict(rt, "network", "10.30.0.0/28", by_tag)).outcome == "ask"


async def test_names_are_replaced_and_forgotten_with_their_asset(rt: Runtime) -> None:
    moved = {"type": "host", "value": "db-01", "critical": True, "also": ["10.30.0.99"]}
    await import_assets(rt, [moved], actor="person:ann")
    assert (await verdict(rt, "address", "10.30.0.31")).rule == "default:internal"
    assert (await verdict(rt, "address", "10.30.0.99")).rule == "default:critical"
    found = {asset.value: asset.also for asset in await list_assets(rt)}
    assert found["db-01"] == ("10.30.0.99",)
    await remove_asset(rt, "host", "db-01", actor="person:ann")
    assert (await verdict(rt, "address", "10.30.0.99")).rule == "default:internal"


async def test_other_name_must_fit_its_asset(rt: Runtime) -> None:
    with pytest.raises(Invalid, match="has no other names"):
        network = {"type": "network", "value": "10.1.0.0/24", "also": ["x"]}
        await import_assets(rt, [network], actor="person:ann")
