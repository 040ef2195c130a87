"""First start: creates tables, a policy and an admin key; with a lab, its connections too."""

from __future__ import annotations

import json
from contextlib import suppress
from importlib import resources
from urllib.parse import urlsplit

import structlog

from connectors.lab import lab_settings
from connectors.registry import connector
from connectors.sdk.settings import is_this_machine
from orchestrator.access import keys, people
from orchestrator.assets import inventory
from orchestrator.connections import manage as connections
from orchestrator.connections.manage import ConnectionView
from orchestrator.crypto.private_file import create_private, read_private
from orchestrator.domain.access import FOUNDER, Role
from orchestrator.domain.errors import Conflict, Forbidden, NotFound
from orchestrator.installation.identity import establish_identity
from orchestrator.policy import policies
from orchestrator.policy.document import DEFAULT_POLICY
from orchestrator.registry import publish
from orchestrator.runtime import Runtime
from orchestrator.store.migrate import migrate
from playbooks import shipped

ACTOR = FOUNDER
ADMIN = "admin"
INVALID_ADMIN_KEY = (
    "{path}: this key is not accepted, as it was revoked or has expired; use another admin's key, "
    "or remove the file, and the next `tocsin up` or `tocsin migrate` creates one"
)
"""What to do about an admin key that is not accepted."""
_log = structlog.get_logger(__name__)


async def prepare(rt: Runtime, lab_url: str | None) -> None:
    """Create what is missing. Idempotent, so that every start calls it.

    `lab_url`: also connect to the lab there, import its assets and publish the shipped playbooks.
    """
    await create_database(rt)
    await _policy(rt, lab=lab_url is not None)
    await _admin(rt)
    if lab_url is not None:
        await _lab(rt, lab_url)


async def has_valid_admin_key(rt: Runtime) -> bool:
    """Return whether the admin key's file is missing or holds a key that is accepted."""
    content = read_private(rt.settings.admin_key_path)
    if content is None:
        return True
    try:
        await keys.authenticate_key(rt, content.decode("ascii", "replace").strip())
    except Forbidden:
        return False
    return True


async def create_database(rt: Runtime) -> None:
    """Create or upgrade the tables, and give a new database its identity. Idempotent."""
    await migrate(rt.store)
    await establish_identity(rt)


async def _policy(rt: Runtime, *, lab: bool) -> None:
    try:
        await policies.current_policy(rt)
    except NotFound:
        await policies.publish_policy(
            rt, _read("lab_policy.yaml") if lab else DEFAULT_POLICY, actor=ACTOR
        )


async def _admin(rt: Runtime) -> None:
    """Create the first person and their key; where the key's file is lost, another key."""
    path = rt.settings.admin_key_path
    if path.exists():
        return
    with suppress(Conflict):  # another process, or an earlier start, added the person
        await people.add_person(rt, ADMIN, actor=ACTOR)
    await people.change_person(rt, ADMIN, disabled=False, actor=ACTOR)
    key, token = await keys.mint_key(rt, ADMIN, (Role.ADMIN,), actor=ACTOR)
    if not create_private(path, token.get_secret_value().encode() + b"\n"):
        # Another process wrote the file first, so no one will ever have this token.
        await keys.revoke_key(rt, key.id, actor=ACTOR)


async def _lab(rt: Runtime, lab_url: str) -> None:
    saved = {view.name: view for view in await connections.list_connections(rt)}
    taken: set[str] = set()
    for name, settings in lab_settings(lab_url).items():
        cls = connector(name)
        usual = str(getattr(cls, "default_connection", name))
        if usual in taken:
            continue  # the first emulator of a capability has its default connection
        taken.add(usual)
        before = saved.get(usual)
        if before is None or (
            _is_lab(before) and before.settings["base_url"] != settings["base_url"]
        ):
            await connections.save_connection(rt, usual, name, settings, actor=ACTOR, check=False)
    if not await inventory.list_assets(rt):
        await inventory.import_assets(rt, json.loads(_read("lab_assets.json")), actor=ACTOR)
    for folder in shipped():
        text = (folder / "playbook.yaml").read_text(encoding="utf-8")
        file = f"playbooks/{folder.name}/playbook.yaml"
        try:
            await publish.publish_playbook(rt, text, file, actor=ACTOR)
        except Conflict as conflict:
            # Published by an earlier release or changed by its owner: that version stays.
            _log.warning("shipped playbook not published", reason=str(conflict))


def _is_lab(view: ConnectionView) -> bool:
    """Return whether a connection leads to a lab, whose URL may change; others are left alone."""
    parts = urlsplit(str(view.settings.get("base_url", "")))
    return is_this_machine(parts.hostname or "") and parts.path == f"/{view.connector}"


def _read(name: str) -> str:
    return (
        resources.files("orchestrator")
        .joinpath("first_start_data", name)
        .read_text(encoding="utf-8")
    )
