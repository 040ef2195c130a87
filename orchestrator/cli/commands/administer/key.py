"""`tocsin key`: API keys, and what their owners may do."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator.cli.command import Answer, Api, Table, api_command, local_command, noun, table
from orchestrator.cli.connect import DATA_DIR, LOCAL, URL, checked_url, trust_for_url
from orchestrator.cli.filters import Since, SortByName, Until, period
from orchestrator.cli.options import CertificateAuthority, parse_seconds
from orchestrator.cli.stack import ports
from orchestrator.crypto.server_trust import ServerTrust
from orchestrator.domain.errors import NotFound

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
        str, typer.Argument(help="To whom it belongs; `tocsin person list` lists people.")
    ],
    role: Annotated[list[KeyRole], typer.Option(help="A role. Repeatable.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(help="Only this permission of the roles, such as run:start. Repeatable."),
    ] = None,
    network: Annotated[
        list[str] | None,
        typer.Option(help="Accept it from here only, such as 10.20.0.0/16. Repeatable."),
    ] = None,
    expires_in: Annotated[
        str | None, typer.Option(help="Such as 30d; without it 90 days, for a service 365.")
    ] = None,
) -> Answer:
    """Create a key. Its person receives it by mail, or by the code that is printed."""
    body = {
        "person": person,
        "roles": [each.value for each in role],
        "scopes": scope or None,
        "networks": network or None,
        "expires_in": parse_seconds(expires_in, "--expires-in") if expires_in else None,
    }
    key = api.post("/v1/keys", body)
    return Answer(key, "\n".join(_created(key)))


@local_command(app, "enrol")
def enrol(
    link: Annotated[str, typer.Argument(metavar="LINK", help="The link of the mail, or the code.")],
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="URL", help="The API's address, where a code is given."),
    ] = None,
    ca: CertificateAuthority = None,
) -> Answer:
    """Receive a key that was created for you. It is printed this once."""
    address, code, trust = _parse_link(link, url, ca)
    with Api(address, None, trust) as api:
        key = api.post("/v1/enrolments", {"code": code})
    text = f"key {key['id']} of {key['person']}; shown only now:\n{key['token']}"
    return Answer(key, text)


@api_command(app, "confirm")
def confirm(api: Api, key_id: Annotated[str, typer.Argument(help="The key's id.")]) -> Answer:
    """Confirm a key that may decide, as a second admin."""
    key = api.post(f"/v1/keys/{key_id}/confirm")
    return Answer(key, f"key {key_id} of {key['person']} confirmed; {key['person']} can receive it")


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
        "scopes",
        "created_at",
        "enrolled_at",
        "expires_at",
        "revoked_at",
        wide=("networks", "created_by", "confirmed_by"),
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


def _created(key: dict[str, Any]) -> list[str]:
    lines = [f"key {key['id']} of {key['person']}, not received yet"]
    if key["enrolment_code"] is None:
        lines.append(f"{key['person']} receives it by the link that was mailed")
    else:
        link = key["enrolment_url"] or key["enrolment_code"]
        lines.append(f"give this to {key['person']}, who receives it once, with:")
        lines.append(f"tocsin key enrol {link}")
    if key["needs_confirmation"]:
        lines.append(f"another admin confirms it first: tocsin key confirm {key['id']}")
    return lines


def _parse_link(link: str, url: str | None, ca: Path | None) -> tuple[str, str, ServerTrust]:
    """Return the API's address, the code, and the certificates to accept."""
    address, slash, code = link.rpartition(_PAGE)
    if slash:
        address = checked_url(url or address, "LINK")
        return address, code, trust_for_url(address, ca)
    if url is None and (named := os.environ.get(URL)) is not None:
        url = named
    if url is not None:
        return checked_url(url), link, trust_for_url(url, ca)
    data_dir = Path(os.environ.get(DATA_DIR) or LOCAL)
    if not data_dir.is_dir():
        raise NotFound(f"{link}: this is a code; name the API's address with --url")
    listening = ports.load_running(data_dir)
    return listening.api_url, link, listening.trust if ca is None else ServerTrust(ca)


_PAGE = "/e/"
