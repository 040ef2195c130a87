"""Does the API say what a policy would say, and why, without doing anything?"""

from __future__ import annotations

import httpx

from orchestrator.assets import inventory
from orchestrator.policy.stops import kill_switches
from orchestrator.runtime import Runtime
from tests.harness.api_calls import is_problem

BLOCK = {
    "action": "firewall.block_address",
    "target": {"type": "address", "value": "::FFFF:203.0.113.5"},
}
DRAFT = "rules:\n  - {name: vips, tags: vip, deny: never}\n  - {tags: vpi, approve: true}\n"
TESTS = "cases:\n  - name: {0}\n    given: {{action: edr.isolate_host, target: 'host:ws-1', tags: vip}}\n    expect: {{verdict: {1}}}\n"


async def test_a_what_if_is_judged_by_the_policy_in_force_with_the_switches_of_now(
    admin: httpx.AsyncClient, rt: Runtime
) -> None:
    found = (await admin.post("/v1/policy/evaluate", json=BLOCK)).json()
    assert (
        found["verdict"]["outcome"],
        found["verdict"]["rule"],
        found["verdict"]["policy_version"],
    ) == ("allow", "default:rest", 1)
    await kill_switches.engage(rt, "source", "siem", "spoofed", actor="person:ann")
    found = (await admin.post("/v1/policy/evaluate", json=BLOCK | {"source": "siem"})).json()
    assert (found["verdict"]["outcome"], found["verdict"]["rule"]) == ("deny", None)
    assert "spoofed" in found["switches"][0]


async def test_a_draft_is_judged_with_the_tags_of_the_inventory(
    admin: httpx.AsyncClient, rt: Runtime
) -> None:
    await inventory.import_assets(
        rt, [{"type": "host", "value": "ws-1", "tags": ["vip"]}], actor="person:ann"
    )
    wish = {
        "action": "edr.isolate_host",
        "target": {"type": "host", "value": "WS-1.corp.example."},
        "policy": DRAFT,
    }
    found = (await admin.post("/v1/policy/evaluate", json=wish)).json()
    assert (found["verdict"]["rule"], found["tags"]) == ("vips", ["vip"])
    assert [rule["name"] for rule in found["rules"] if rule["decides"]] == ["vips"]


async def test_what_nobody_knows_is_refused_with_the_mend(admin: httpx.AsyncClient) -> None:
    problem = is_problem(
        await admin.post("/v1/policy/evaluate", json=BLOCK | {"action": "firewall.blok_address"}),
        422,
    )
    assert "did you mean 'block_address'?" in problem["detail"]
    is_problem(await admin.post("/v1/policy/evaluate", json=BLOCK | {"policy": "rulez: []"}), 422)


async def test_the_cases_beside_a_policy_are_judged(admin: httpx.AsyncClient) -> None:
    body = {"policy": DRAFT, "tests": TESTS.format("good", "deny")}
    assert (await admin.post("/v1/policy/test", json=body)).json()["failures"] == 0
    found = (
        await admin.post("/v1/policy/test", json=body | {"tests": TESTS.format("bad", "allow")})
    ).json()
    assert found["failures"] == 1
    assert (
        "expected verdict allow; it is verdict deny: vips decided" in found["cases"][0]["failure"]
    )


async def test_publishing_shows_the_warnings(admin: httpx.AsyncClient) -> None:
    reply = await admin.put("/v1/policy", json={"text": DRAFT})
    assert reply.status_code == 200
    assert any("unknown tag 'vpi'" in line for line in reply.json()["warnings"])
