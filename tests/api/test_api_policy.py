"""The policy through the API: check, what-if, test cases, and warnings on publication."""

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


async def test_a_what_if_uses_the_policy_in_force_and_current_switches(
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


async def test_a_draft_uses_the_tags_of_the_inventory(
    admin: httpx.AsyncClient, rt: Runtime
) -> None:
    await inventory.import_assets(
        rt, [{"type": "host", "value": "ws-1", "tags": ["vip"]}], actor="person:ann"
    )
    body = {
        "action": "edr.isolate_host",
        "target": {"type": "host", "value": "WS-1.corp.example."},
        "policy": DRAFT,
    }
    found = (await admin.post("/v1/policy/evaluate", json=body)).json()
    assert (found["verdict"]["rule"], found["tags"]) == ("vips", ["vip"])
    assert [rule["name"] for rule in found["rules"] if rule["decides"]] == ["vips"]


async def test_an_unknown_action_is_rejected_with_the_fix(admin: httpx.AsyncClient) -> None:
    problem = is_problem(
        await admin.post("/v1/policy/evaluate", json=BLOCK | {"action": "firewall.blok_address"}),
        422,
    )
    assert "did you mean 'block_address'?" in problem["detail"]
    is_problem(await admin.post("/v1/policy/evaluate", json=BLOCK | {"policy": "rulez: []"}), 422)


async def test_the_cases_of_a_policy_are_run(admin: httpx.AsyncClient) -> None:
    body = {"policy": DRAFT, "tests": TESTS.format("good", "deny")}
    assert (await admin.post("/v1/policy/test", json=body)).json()["failures"] == 0
    found = (
        await admin.post("/v1/policy/test", json=body | {"tests": TESTS.format("bad", "allow")})
    ).json()
    assert found["failures"] == 1
    assert (
        "expected verdict allow, got verdict deny, decided by vips" in found["cases"][0]["failure"]
    )


async def test_publishing_shows_the_warnings(admin: httpx.AsyncClient) -> None:
    reply = await admin.put("/v1/policy", json={"text": DRAFT}, headers={"if-match": "*"})
    assert reply.status_code == 200
    assert any("unknown tag 'vpi'" in line for line in reply.json()["warnings"])


async def test_check_reports_warnings_and_publishes_nothing(admin: httpx.AsyncClient) -> None:
    body = {"text": DRAFT, "file": "draft.yaml"}
    checked = (await admin.post("/v1/policy/check", json=body)).json()
    assert any(line.startswith("draft.yaml:3: unknown tag") for line in checked["warnings"])
    problem = is_problem(
        await admin.post("/v1/policy/check", json={"text": "rulez: []", "file": "draft.yaml"}), 422
    )
    assert "draft.yaml:1:1" in problem["detail"]
    assert (await admin.get("/v1/policy")).json()["version"] == 1


async def test_the_step_of_an_unknown_run_is_not_found(admin: httpx.AsyncClient) -> None:
    body = {"run_id": "run_x", "step": "block"}
    is_problem(await admin.post("/v1/policy/evaluate-step", json=body), 404)
