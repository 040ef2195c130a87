"""`tocsin key`: API keys, and what their owners may do."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from orchestrator.cli.command import Answer, Api, Table, api_command, local_command, noun, table
from orchestrator.cli.filters import Since, SortByName, Until, period
from orchestrator.cli.options import parse_seconds

app = noun("API keys: who may do what.")


class KeyRole(StrEnum):
    """The roles that a key can have."""

    VIEWER = "viewer"
    ANALYST = "analyst"
    APPROVER = "approver"
    AUTHOR = "author"
    AUDITOR = "auditor"
    ADMIN = "admin"


@api_command(app, "create")
def create(
    api: Api,
    person: Annotated[
        str,
        typer.Argument(help="The owner; two keys of one person count once in an approval."),
    ],
    role: Annotated[list[KeyRole], typer.Option(help="A role. Repeatable.")],
    group: Annotated[
        list[str] | None, typer.Option(help="A group that approvals can ask. Repeatable.")
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(help="Only this permission of the roles, such as run:start. Repeatable."),
    ] = None,
    expires_in: Annotated[
        str | None, typer.Option(help="Such as 30d; without it, the key does not expire.")
    ] = None,
) -> Answer:
    """Create a key, which is printed this once."""
    body = {
        "person": person,
        "roles": [each.value for each in role],
        "groups": group or [],
        "scopes": scope or None,
        "expires_in": parse_seconds(expires_in, "--expires-in") if expires_in else None,
    }
    key = api.post("/v1/keys", body)
    return Answer(key, f"key {key['id']} of {key['person']}; shown only now:\n{key['token']}")


@api_command(app, "list")
def list_keys(
    api: Api,
    person: Annotated[str | None, typer.Option(help="Only of this person.")] = None,
    role: Annotated[KeyRole | None, typer.Option(help="Only with this role.")] = None,
    group: Annotated[str | None, typer.Option(help="Only of this group.")] = None,
    valid: Annotated[
        bool | None,
        typer.Option("--valid/--invalid", help="Only neither revoked nor expired, or only such."),
    ] = None,
    since: Since = None,
    until: Until = None,
    order: SortByName = "name",
) -> Answer:
    """List keys, without their tokens; the time is when they were created."""
    query = {
        **period(since, until),
        "person": person,
        "role": role.value if role else None,
        "group": group,
        "valid": valid,
        "sort": order,
    }
    return table(
        api.items("/v1/keys", **query),
        "id",
        "person",
        "roles",
        "groups",
        "scopes",
        "created_at",
        "expires_at",
        "revoked_at",
    )


@api_command(app, "revoke")
def revoke(api: Api, key_id: Annotated[str, typer.Argument(help="The key's id.")]) -> Answer:
    """Revoke a key now."""
    api.delete(f"/v1/keys/{key_id}")
    return Answer({"id": key_id}, f"key {key_id} revoked")


@local_command(app, "roles")
def roles() -> Answer:
    """List the roles, what each is for, and the permissions that it has."""
    from orchestrator.domain.access import PERMISSIONS, Permission, Role

    found = [
        {
            "role": role.value,
            "meaning": role.meaning,
            "permissions": [each.value for each in Permission if each in PERMISSIONS[role]],
        }
        for role in Role
    ]
    lines = [
        {"permission": each.value, "allows": each.meaning}
        | {role.value: "yes" if each in PERMISSIONS[role] else "" for role in Role}
        for each in Permission
    ]
    return Answer(found, Table(lines, tuple(lines[0])))
