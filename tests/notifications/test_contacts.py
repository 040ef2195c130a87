"""Contacts and notifications through the API: who may change them, and what is shown."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from orchestrator.access import people
from orchestrator.domain.access import Permission, Role
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Invalid
from orchestrator.notifications import contacts
from orchestrator.notifications.contacts import decision_principal
from tests.harness.notification_world import World
from tests.harness.people import add_key


async def key(world: World, person: str, *roles: Role, **more: Any) -> dict[str, str]:
    _, token = await add_key(world.rt, person, roles, actor="system", **more)
    return {"Authorization": f"Bearer {token.get_secret_value()}"}


async def test_an_admin_saves_lists_and_removes_contacts(world: World) -> None:
    admin, api = await key(world, "root", Role.ADMIN), world.browser
    body = {"email": "zoe@corp.example", "slack_user": "U0ZOE000001"}
    unknown = await api.put("/v1/contacts/zoe", json=body, headers=admin)
    assert (unknown.status_code, "tocsin person add zoe" in unknown.text) == (404, True)
    await people.add_person(world.rt, "zoe", actor="system")
    assert (await api.put("/v1/contacts/zoe", json=body, headers=admin)).json()[
        "email"
    ] == "zoe@corp.example"
    assert [
        item["person"] for item in (await api.get("/v1/contacts", headers=admin)).json()["items"]
    ] == ["ann", "bob", "eve", "zoe"]
    assert (await api.put("/v1/contacts/bob", json=body, headers=admin)).status_code == 409
    assert (await api.delete("/v1/contacts/zoe", headers=admin)).status_code == 204
    assert (await api.delete("/v1/contacts/zoe", headers=admin)).status_code == 404
    assert "corp.example" not in str(await world.events(EventKind.CONTACT_SAVED))


async def test_a_key_that_may_not_decide_cannot_redirect_links(world: World) -> None:
    narrow = await key(world, "root", Role.ADMIN, scopes=(Permission.ADMIN,))
    reply: httpx.Response = await world.browser.put(
        "/v1/contacts/ann", json={"email": "me@evil.example"}, headers=narrow
    )
    assert (reply.status_code, "lacks approval:decide" in reply.text) == (403, True)


@pytest.mark.parametrize(
    ("email", "slack"),
    [
        (None, None),
        ("", None),
        ("ann", None),
        ("ann@corp.example, eve@evil.example", None),
        ("ann@corp.example\r\nBcc: eve@evil.example", None),
        ("ann@corp.example\n", None),
        ("Ann <ann@corp.example>", None),
        ("ann@" + "a" * 300, None),
        (None, "ann"),
        (None, "C0SOC000001"),
        (None, "U0ANALYST01\n"),
    ],
)
async def test_a_malformed_address_is_rejected(
    world: World, email: str | None, slack: str | None
) -> None:
    with pytest.raises(Invalid):
        await contacts.save_contact(world.rt, "zoe", email, slack, actor="system")


async def test_groups_are_the_persons_and_permissions_are_those_of_the_deciding_keys(
    world: World,
) -> None:
    await key(world, "mia", Role.APPROVER, groups=("tier-1",))
    await key(world, "mia", Role.ADMIN, groups=("owners",), scopes=(Permission.READ,))
    async with world.rt.store.read() as session:
        found = await decision_principal(session, "mia", world.now[0])
        unknown = await decision_principal(session, "unknown", world.now[0])
    assert found is not None and unknown is None
    assert found.groups == ("owners", "tier-1")
    assert found.permissions == {Permission.APPROVAL_DECIDE}


async def test_failed_notifications_are_listed_without_their_address(world: World) -> None:
    world.mail.answers = ["RCPT 550 no", "RCPT 550 no"]
    await world.ask()
    viewer = await key(world, "vic", Role.VIEWER)
    reply = await world.browser.get(
        "/v1/notifications", params={"state": "failed", "limit": 1}, headers=viewer
    )
    (item,) = reply.json()["items"]
    assert (item["about"], item["channel"], item["error"]) == (
        "apr_1",
        "email",
        "the mail server refuses the recipient (550)",
    )
    more = await world.browser.get(
        "/v1/notifications",
        params={"state": "failed", "cursor": reply.json()["next"]},
        headers=viewer,
    )
    assert len(more.json()["items"]) == 1
    assert "corp.example" not in reply.text
    assert (
        await world.browser.get("/v1/notifications", params={"about": "apr_9"}, headers=viewer)
    ).json()["items"] == []
