"""Every configured thing has its own address, and the API says who you are and what it can do."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI

from connectors.registry import CONNECTORS
from orchestrator.access import people
from orchestrator.connections import manage
from orchestrator.domain.access import PERMISSIONS, Role
from orchestrator.notifications import contacts
from orchestrator.runtime import Runtime
from tests.harness.api_calls import People, add_edge, is_problem
from tests.harness.people import add_key


async def test_each_is_returned_as_its_list_shows_it(admin: httpx.AsyncClient, rt: Runtime) -> None:
    await add_edge(admin)
    settings = {"base_url": "https://firewall.example", "api_key": "a-secret-key"}
    await manage.save_connection(
        rt, "firewall", "palo_alto", settings, actor="person:ann", client=None, check=False
    )
    await people.add_person(rt, "ann", actor="person:admin")
    await contacts.save_contact(rt, "ann", "ann@corp.example", None, actor="person:admin")
    for path, name in (
        ("/v1/sources", "name"),
        ("/v1/connections", "name"),
        ("/v1/contacts", "person"),
        ("/v1/people", "id"),
        ("/v1/keys", "id"),
    ):
        for item in (await admin.get(path)).json()["items"]:
            single = await admin.get(f"{path}/{item[name]}")
            assert single.status_code == 200
            assert single.json() | item == single.json()  # a single one may say more
            assert "a-secret" not in single.text


@pytest.mark.parametrize(
    "path", ["sources", "connections", "contacts", "people", "keys", "connectors"]
)
async def test_what_does_not_exist_is_404(admin: httpx.AsyncClient, path: str) -> None:
    assert "nothing" in is_problem(await admin.get(f"/v1/{path}/nothing"), 404)["detail"]


async def test_me_names_person_groups_permissions_and_the_end_of_the_key(
    app: FastAPI, rt: Runtime
) -> None:
    view, token = await add_key(
        rt, "ann", [Role.ANALYST], ["soc"], expires_in=timedelta(days=30), actor="system"
    )
    headers = {"Authorization": f"Bearer {token.get_secret_value()}"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://tocsin", headers=headers
    ) as client:
        me = (await client.get("/v1/me")).json()
    assert (me["person"], me["groups"], me["key_id"]) == ("ann", ["soc"], view.id)
    assert set(me["permissions"]) == PERMISSIONS[Role.ANALYST]
    assert view.expires_at is not None
    assert me["expires_at"] == view.model_dump(mode="json")["expires_at"]


async def test_viewer_reads_the_version_and_every_connector(people: People) -> None:
    viewer = people[Role.VIEWER]
    assert (await viewer.get("/v1/version")).json()["version"]
    listed = (await viewer.get("/v1/connectors")).json()["items"]
    assert {each["name"] for each in listed} == {each.name for each in CONNECTORS}
    for connector in CONNECTORS:
        found = (await viewer.get(f"/v1/connectors/{connector.name}")).json()
        assert [each["name"] for each in found["actions"]] == list(connector.bound)
        settings = {each["name"]: each for each in found["settings"]}
        assert set(settings) == set(connector.settings_type.model_fields)
        assert all(each["default"] is None for each in settings.values() if each["secret"])


async def test_connector_says_what_is_secret_required_and_undone(people: People) -> None:
    found = (await people[Role.VIEWER].get("/v1/connectors/palo_alto")).json()
    settings = {each["name"]: each for each in found["settings"]}
    assert (settings["base_url"]["type"], settings["base_url"]["required"]) == ("string", True)
    assert settings["api_key"]["secret"]
    actions = {each["name"]: each for each in found["actions"]}
    assert (actions["block_address"]["effect"], actions["block_address"]["can_undo"]) == (
        "contain",
        True,
    )
    assert "address" in actions["block_address"]["input_schema"]["properties"]
