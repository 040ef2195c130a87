"""The lists of what people configure are filtered and ordered by the same vocabulary."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from orchestrator.access import keys, people
from orchestrator.assets.inventory import import_assets
from orchestrator.connections import manage
from orchestrator.domain.access import Role
from orchestrator.intake import sources
from orchestrator.notifications import contacts
from orchestrator.playbook.problems import PlaybookInvalid
from orchestrator.registry import publish
from orchestrator.registry.analysis import compile_draft
from orchestrator.runtime import Runtime
from tests.api.test_api_contract import every
from tests.api.test_contain_by_hand import connected
from tests.harness.api_calls import People, is_problem
from tests.harness.people import add_key

__all__ = ["connected"]

ASSETS = [
    {"type": "host", "value": "dc-1", "kind": "domain_controller", "critical": True},
    {"type": "host", "value": "web-1", "kind": "server", "tags": ["Tier 0", "europe"]},
    {"type": "user", "value": "ann@corp.example", "kind": "person", "tags": ["tier-00"]},
]
PLAYBOOK = """
playbook: {name}
version: 1
title: A playbook
owner: {owner}
steps:
  - {{id: look, use: reputation.lookup_address, with: {{address: 192.0.2.1}}}}
"""


@pytest.fixture
async def configured(connected: Runtime, admin: httpx.AsyncClient) -> Runtime:
    """Return a runtime with two of each, the second of which was made later."""
    rt = connected
    settings = {"base_url": "https://vt.example", "api_key": "k"}
    await manage.save_connection(
        rt, "reputation", "virustotal", settings, actor="system", check=False
    )
    await sources.add_source(rt, "edge-ids", "suricata", "bearer", actor="system")
    await sources.add_source(rt, "wazuh", "wazuh", "basic", actor="system")
    for person in ("ann", "bob"):
        await people.add_person(rt, person, actor="system")
    await contacts.save_contact(rt, "ann", "ann@corp.example", None, actor="system")
    await contacts.save_contact(rt, "bob", None, "U012AB3CD4", actor="system")
    for name, owner, stage in (("one", "soc", "live"), ("two", "it", "shadow")):
        text = PLAYBOOK.format(name=name, owner=owner)
        await publish.publish_playbook(rt, text, "p.yaml", actor=f"person:{owner}", stage=stage)  # type: ignore[arg-type]
    await import_assets(rt, ASSETS, actor="system")
    done = await admin.post(
        "/v1/containments",
        json={"target": {"type": "address", "value": "203.0.113.5"}, "for": "4h", "reason": "r"},
    )
    assert done.status_code == 201, done.text
    return rt


CASES: list[tuple[str, str, dict[str, Any], set[str]]] = [
    ("connections", "name", {}, {"firewall", "edr", "reputation"}),
    ("connections", "name", {"connector": "palo_alto"}, {"firewall"}),
    ("connections", "name", {"capability": "edr"}, {"edr"}),
    ("connections", "name", {"name": "FIRE"}, {"firewall"}),
    ("connections", "name", {"name": "%"}, set()),
    ("connections", "name", {"until": "2020-01-01T00:00:00Z"}, set()),
    ("sources", "name", {"product": "wazuh"}, {"wazuh"}),
    ("sources", "name", {"scheme": "bearer"}, {"edge-ids"}),
    ("sources", "name", {"mode": "dry_run"}, set()),
    ("sources", "name", {"name": "ids", "since": "2020-01-01T00:00:00Z"}, {"edge-ids"}),
    ("contacts", "person", {"channel": "email"}, {"ann"}),
    ("contacts", "person", {"channel": "slack"}, {"bob"}),
    ("contacts", "person", {"name": "b"}, {"bob"}),
    ("playbooks", "name", {}, {"one", "two"}),
    ("playbooks", "name", {"owner": "soc"}, {"one"}),
    ("playbooks", "name", {"stage": "shadow"}, {"two"}),
    ("playbooks", "name", {"person": "it"}, {"two"}),
    ("playbooks", "name", {"retired": "true"}, set()),
    ("playbooks", "name", {"built_in": "true"}, {"contain-by-hand"}),
    ("assets", "value", {"type": "host"}, {"dc-1", "web-1"}),
    ("assets", "value", {"critical": "true"}, {"dc-1"}),
    ("assets", "value", {"critical": "false", "name": "WEB"}, {"web-1"}),
    ("assets", "value", {"kind": "person"}, {"ann@corp.example"}),
    ("assets", "value", {"tag": "Tier 0"}, {"web-1"}),
    ("assets", "value", {"tag": "tier"}, set()),
]


async def test_each_condition_narrows_the_list(
    admin: httpx.AsyncClient, configured: Runtime
) -> None:
    for noun, field, query, expected in CASES:
        found = await every(admin, f"/v1/{noun}", 1, **query)
        assert {each[field] for each in found} == expected, (noun, query)


async def test_keys_are_found_by_person_role_group_and_whether_they_still_work(
    rt: Runtime, people: People
) -> None:
    admin = people[Role.ADMIN]
    made = {
        name: (
            await add_key(
                rt,
                name,
                (Role.APPROVER,),
                groups=("soc-leads",),
                expires_in=timedelta(microseconds=1) if name == "late" else None,
                actor="system",
            )
        )[0].id
        for name in ("ann", "gone", "late")
    }
    await keys.revoke_key(rt, made["gone"], actor="system")
    for query, expected in (
        ({"group": "soc-leads"}, {"ann", "gone", "late"}),
        ({"group": "soc"}, set()),
        ({"group": "soc-leads", "valid": "true"}, {"ann"}),
        ({"valid": "false"}, {"gone", "late"}),
        ({"person": "ann"}, {"ann"}),
        ({"role": "author"}, {"author-person"}),
        ({"role": "approver"}, {"ann", "gone", "late", "approver-person"}),
    ):
        found = await every(admin, "/v1/keys", 2, **query)
        assert {each["person"] for each in found} == expected, query


async def test_named_lists_are_ordered_by_name_or_by_time(
    admin: httpx.AsyncClient, configured: Runtime
) -> None:
    for noun, by_name, by_time in (
        ("sources", ["edge-ids", "wazuh"], ["edge-ids", "wazuh"]),
        ("connections", ["edr", "firewall", "reputation"], ["firewall", "edr", "reputation"]),
    ):
        for sort, expected in (("name", by_name), ("oldest", by_time), ("newest", by_time[::-1])):
            found = await every(admin, f"/v1/{noun}", 1, sort=sort)
            assert [each["name"] for each in found] == expected, (noun, sort)


@pytest.mark.parametrize(
    "noun", ["connections", "sources", "keys", "contacts", "playbooks", "assets"]
)
async def test_unknown_condition_is_refused_with_those_that_there_are(
    admin: httpx.AsyncClient, noun: str
) -> None:
    reply = await admin.get(f"/v1/{noun}", params={"state": "on"})
    assert "unknown query parameter 'state'" in is_problem(reply, 422)["detail"]


async def test_value_that_a_field_never_has_is_refused(admin: httpx.AsyncClient) -> None:
    for path, query in (
        ("sources", {"mode": "on"}),
        ("keys", {"role": "root"}),
        ("assets", {"type": "car"}),
        ("playbooks", {"stage": "built_in"}),
        ("contacts", {"channel": "fax"}),
    ):
        (name,) = query
        assert name in is_problem(await admin.get(f"/v1/{path}", params=query), 422)["detail"]


@pytest.mark.attack(
    "an author publishes a playbook under the name of the one that contains by hand",
    before="it stood between the built-in versions, in lists, runs and kill switches",
)
async def test_name_of_a_built_in_playbook_is_refused(people: People, configured: Runtime) -> None:
    text = PLAYBOOK.format(name="contain-by-hand", owner="mallory")
    reply = await people[Role.AUTHOR].post("/v1/playbooks", json={"text": text, "file": "p.yaml"})
    detail = is_problem(reply, 422)["detail"]
    assert "p.yaml:2:11" in detail
    assert "is the name of a playbook that is built in" in detail
    with pytest.raises(PlaybookInvalid, match="choose another name"):
        await compile_draft(configured, text, "p.yaml")
