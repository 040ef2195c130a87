"""`tocsin person`: people and services, to whom keys, groups and contacts belong."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import typer

from orchestrator.cli.command import Answer, Api, Table, api_command, noun
from orchestrator.domain.errors import Invalid

app = noun("People and services: to whom keys, groups and contacts belong.")

Person = Annotated[str, typer.Argument(help="The person's id, such as ann.")]
_IDENTITY = "As an identity provider names the person: ISSUER=SUBJECT. Repeatable."


@api_command(app, "add")
def add(
    api: Api,
    person: Person,
    name: Annotated[str, typer.Option(help="The full name.")] = "",
    group: Annotated[
        list[str] | None, typer.Option(help="A group that approvals can ask. Repeatable.")
    ] = None,
    identity: Annotated[list[str] | None, typer.Option(help=_IDENTITY)] = None,
    service: Annotated[
        bool, typer.Option("--service", help="A SIEM or CI, which approves nothing.")
    ] = False,
) -> Answer:
    """Add a person or a service."""
    body = {
        "id": person,
        "name": name,
        "kind": "service" if service else "person",
        "groups": group or [],
        "identities": _identities(identity),
    }
    added = api.post("/v1/people", body)
    return Answer(
        added, f"{added['id']} added; give a key: tocsin key create {added['id']} --role ROLE"
    )


@api_command(app, "list")
def list_people(api: Api) -> Answer:
    """List all people and services."""
    found = api.items("/v1/people")
    lines = [{**each, "groups": list(each["groups"])} for each in found]
    columns = ("id", "name", "kind", "groups", "email", "created_at", "disabled_at")
    return Answer(found, Table(lines, columns, ("slack_user", "created_by")))


@api_command(app, "show")
def show(api: Api, person: Person) -> Answer:
    """Show a person with their groups, identities, contact and keys."""
    found = api.get(_path(person))
    keys = [each for each in api.items("/v1/keys") if each["person"] == found["id"]]
    lines = [
        f"{found['id']} ({found['name']}), a {found['kind']} since {found['created_at']}",
        *([f"disabled since {found['disabled_at']}"] if found["disabled_at"] else []),
        *(
            f"group {name} since {each['joined_at']}, by {each['by']}"
            for name, each in found["groups"].items()
        ),
        *(f"identity {each['subject']} of {each['issuer']}" for each in found["identities"]),
        *(f"{way}: {found[way]}" for way in ("email", "slack_user") if found[way]),
        *(f"key {_describe(each)}" for each in keys),
    ]
    return Answer({**found, "keys": keys}, "\n".join(lines))


@api_command(app, "change")
def change(
    api: Api,
    person: Person,
    name: Annotated[str | None, typer.Option(help="The full name.")] = None,
    add_group: Annotated[list[str] | None, typer.Option(help="Repeatable.")] = None,
    remove_group: Annotated[list[str] | None, typer.Option(help="Repeatable.")] = None,
    identity: Annotated[list[str] | None, typer.Option(help=f"{_IDENTITY} Replaces all.")] = None,
) -> Answer:
    """Change a person's name, groups or identities."""
    body: dict[str, Any] = {}
    if name is not None:
        body["name"] = name
    if add_group or remove_group:
        groups = set(api.get(_path(person))["groups"]) | set(add_group or ())
        body["groups"] = sorted(groups - set(remove_group or ()))
    if identity is not None:
        body["identities"] = _identities(identity)
    if not body:
        raise Invalid("nothing to change; give --name, --add-group, --remove-group or --identity")
    changed = api.patch(_path(person), body)
    groups_now = ", ".join(changed["groups"]) or "no group"
    return Answer(changed, f"{changed['id']} ({changed['name']}) is in {groups_now}")


@api_command(app, "disable")
def disable(api: Api, person: Person) -> Answer:
    """End all that a person can do, now: keys, links and buttons."""
    changed = api.patch(_path(person), {"disabled": True})
    return Answer(changed, f"{changed['id']} is disabled")


@api_command(app, "enable")
def enable(api: Api, person: Person) -> Answer:
    """Enable a disabled person again, who counts as new."""
    changed = api.patch(_path(person), {"disabled": False})
    return Answer(changed, f"{changed['id']} is enabled")


def _path(person: str) -> str:
    return f"/v1/people/{quote(person, safe='')}"


def _identities(texts: list[str] | None) -> list[dict[str, str]]:
    found = []
    for text in texts or []:
        issuer, equals, subject = text.rpartition("=")
        if not equals or not issuer or not subject:
            raise Invalid(f"--identity {text}: write it as ISSUER=SUBJECT")
        found.append({"issuer": issuer, "subject": subject})
    return found


def _describe(key: dict[str, Any]) -> str:
    roles = ", ".join(key["roles"])
    if key["revoked_at"]:
        return f"{key['id']} ({roles}), revoked {key['revoked_at']}"
    state = "" if key["enrolled_at"] else ", not received"
    return f"{key['id']} ({roles}), expires {key['expires_at'] or 'never'}{state}"
