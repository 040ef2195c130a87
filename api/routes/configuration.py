"""Configuration: playbooks, policy, kill switches, assets, sources, connections, keys. Secrets go in and never come out."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field, SecretStr

from api.dependencies import TheHeld, actor, requires
from api.problems import RESPONSES
from orchestrator.configuration import assets, connections, keys, kill_switches, playbooks, policies, sources
from orchestrator.domain.access import Permission, Principal, Role
from orchestrator.domain.model import Frozen
from orchestrator.playbook.editor_schema import json_schema

router = APIRouter(prefix="/v1", tags=["configuration"], responses=RESPONSES)
Text = Annotated[str, Field(max_length=262_144)]
Listed = dict[str, Any]


class Document(Frozen):
    """A YAML text; `file` is what its errors call it."""

    text: Text
    file: str = "playbook.yaml"


class Engage(Frozen):
    """`scope`: global, connection or playbook; `name` of the latter two."""

    scope: str
    name: str = "*"
    reason: str


class NewSource(Frozen):
    """A source; without `secret` one is made and shown once."""

    name: str
    product: str
    scheme: str
    secret: SecretStr | None = None
    options: dict[str, Any] | None = None
    mapping: dict[str, Any] | None = None
    correlate_by: str = "host"
    correlate_within: timedelta = timedelta(hours=1)


class NewConnection(Frozen):
    """A connection. `check`: try the credential first."""

    connector: str
    settings: dict[str, Any]
    check: bool = True


class NewKey(Frozen):
    """A key of a person."""

    person: str
    roles: list[Role]
    groups: list[str] = []
    scopes: list[Permission] | None = None
    expires_in: timedelta | None = None


@router.get("/playbooks")
async def list_playbooks(holds: TheHeld, who: Principal = requires(Permission.READ)) -> Listed:
    """Every version of each."""
    return _all(await playbooks.list_playbooks(holds.rt))


@router.get("/playbooks/schema")
async def schema(holds: TheHeld, who: Principal = requires(Permission.READ)) -> Listed:
    """JSON Schema for editors, with the connections of this environment."""
    return json_schema(await playbooks.catalogue(holds.rt))


@router.post("/playbooks/check")
async def check(document: Document, holds: TheHeld, who: Principal = requires(Permission.READ)) -> Listed:
    """Compile and say what is wrong; nothing is kept."""
    compiled = await playbooks.check_playbook(holds.rt, document.text, document.file)
    return {"playbook": compiled.plan.playbook, "version": compiled.plan.version, "digest": compiled.plan.digest}


@router.post("/playbooks", status_code=201)
async def publish(document: Document, holds: TheHeld, who: Principal = requires(Permission.PLAYBOOK_PUBLISH)) -> playbooks.PlaybookView:
    """Publish a version, for good."""
    return await playbooks.publish_playbook(holds.rt, document.text, document.file, actor=actor(who))


@router.get("/playbooks/{name}")
async def show(name: str, holds: TheHeld, version: int | None = None, who: Principal = requires(Permission.READ)) -> playbooks.PlaybookView:
    """A version, or the newest."""
    return await playbooks.get_playbook(holds.rt, name, version)


@router.post("/playbooks/{name}/{version}/retire")
async def retire(name: str, version: int, holds: TheHeld, who: Principal = requires(Permission.PLAYBOOK_PUBLISH)) -> playbooks.PlaybookView:
    """No new run starts with it."""
    return await playbooks.retire_playbook(holds.rt, name, version, actor=actor(who))


@router.get("/policy")
async def policy(holds: TheHeld, who: Principal = requires(Permission.READ)) -> policies.PolicyView:
    """The policy in force."""
    return await policies.current_policy(holds.rt)


@router.put("/policy")
async def put_policy(document: Document, holds: TheHeld, who: Principal = requires(Permission.POLICY_WRITE)) -> policies.PolicyView:
    """Put another in force."""
    return await policies.publish_policy(holds.rt, document.text, actor=actor(who))


@router.get("/kill-switches")
async def switches(holds: TheHeld, who: Principal = requires(Permission.READ)) -> Listed:
    """Those that are engaged."""
    return _all(await kill_switches.list_switches(holds.rt))


@router.post("/kill-switches", status_code=201)
async def engage(engaged: Engage, holds: TheHeld, who: Principal = requires(Permission.KILL_SWITCH)) -> kill_switches.KillSwitchView:
    """Stop new changes."""
    return await kill_switches.engage(holds.rt, engaged.scope, engaged.name, engaged.reason, actor=actor(who))


@router.delete("/kill-switches/{scope}/{name}", status_code=204)
async def lift(scope: str, name: str, holds: TheHeld, who: Principal = requires(Permission.KILL_SWITCH)) -> None:
    """Let changes through again."""
    await kill_switches.lift(holds.rt, scope, name, actor=actor(who))


@router.get("/assets")
async def list_assets(holds: TheHeld, who: Principal = requires(Permission.READ)) -> Listed:
    """What we know of our own things."""
    return _all(await assets.list_assets(holds.rt))


@router.post("/assets")
async def import_assets(rows: list[assets.Asset], holds: TheHeld, who: Principal = requires(Permission.ADMIN)) -> Listed:
    """Add or replace."""
    return {"imported": await assets.import_assets(holds.rt, [row.model_dump(mode="json") for row in rows], actor=actor(who))}


@router.get("/sources")
async def list_sources(holds: TheHeld, who: Principal = requires(Permission.ADMIN)) -> Listed:
    """Without their secrets."""
    return _all(await sources.list_sources(holds.rt))


@router.post("/sources", status_code=201)
async def add_source(new: NewSource, holds: TheHeld, who: Principal = requires(Permission.ADMIN)) -> Listed:
    """Let a product send alerts; the secret is answered once where it was made here."""
    view, secret = await sources.add_source(holds.rt, **dict(new), actor=actor(who))
    return {**view.model_dump(mode="json"), "secret": secret.get_secret_value() if secret else None}


@router.delete("/sources/{name}", status_code=204)
async def remove_source(name: str, holds: TheHeld, who: Principal = requires(Permission.ADMIN)) -> None:
    """Its alerts stay."""
    await sources.remove_source(holds.rt, name, actor=actor(who))


@router.get("/connections")
async def list_connections(holds: TheHeld, who: Principal = requires(Permission.ADMIN)) -> Listed:
    """Without their secrets."""
    return _all(await connections.list_connections(holds.rt))


@router.put("/connections/{name}")
async def save_connection(
    name: str, new: NewConnection, holds: TheHeld, who: Principal = requires(Permission.ADMIN)
) -> connections.ConnectionView:
    """Try the credential, then save."""
    return await connections.save_connection(holds.rt, name, new.connector, new.settings, check=new.check, actor=actor(who))


@router.post("/connections/{name}/check")
async def check_connection(name: str, holds: TheHeld, who: Principal = requires(Permission.ADMIN)) -> Listed:
    """Try the credential."""
    return {"name": name, "found": await connections.check_connection(holds.rt, name)}


@router.delete("/connections/{name}", status_code=204)
async def remove_connection(name: str, holds: TheHeld, who: Principal = requires(Permission.ADMIN)) -> None:
    """Playbooks that use it will fail from now on."""
    await connections.remove_connection(holds.rt, name, actor=actor(who))


@router.get("/keys")
async def list_keys(holds: TheHeld, who: Principal = requires(Permission.ADMIN)) -> Listed:
    """Without their tokens."""
    return _all(await keys.list_keys(holds.rt))


@router.post("/keys", status_code=201)
async def create_key(new: NewKey, holds: TheHeld, who: Principal = requires(Permission.ADMIN)) -> Listed:
    """The token is answered this one time."""
    view, token = await keys.create_key(holds.rt, **dict(new), actor=actor(who))
    return {**view.model_dump(mode="json"), "token": token.get_secret_value()}


@router.delete("/keys/{key_id}", status_code=204)
async def revoke_key(key_id: str, holds: TheHeld, who: Principal = requires(Permission.ADMIN)) -> None:
    """It opens nothing from now on."""
    await keys.revoke_key(holds.rt, key_id, actor=actor(who))


def _all(views: Any) -> Listed:
    return {"items": [view.model_dump(mode="json") for view in views], "next": None}
