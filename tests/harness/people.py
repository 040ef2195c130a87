"""People with keys, for tests: as the first start makes them, or through the API."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import httpx
from pydantic import SecretStr

from orchestrator.access import keys, people
from orchestrator.access.key_views import KeyView
from orchestrator.domain.access import Permission, Role
from orchestrator.domain.errors import Conflict
from orchestrator.runtime import Runtime


async def add_key(
    rt: Runtime,
    person: str,
    roles: Sequence[Role],
    groups: Sequence[str] = (),
    scopes: Sequence[Permission] | None = None,
    expires_in: timedelta | None = None,
    *,
    actor: str = "system",
) -> tuple[KeyView, SecretStr]:
    """Add a key, and its person where there is none. By `system`, they count as old."""
    with suppress(Conflict):
        await people.add_person(rt, person, actor=actor)
    if groups:
        known = (await people.get_person(rt, person)).groups
        await people.change_person(rt, person, groups=[*known, *groups], actor=actor)
    return await keys.mint_key(rt, person, roles, scopes, expires_in=expires_in, actor=actor)


async def new_key(admin: httpx.AsyncClient, person: str, *roles: str, **more: Any) -> Any:
    """Add a person where there is none, create a key, and receive it: the view with its token."""
    added = await admin.post("/v1/people", json={"id": person})
    assert added.status_code in {201, 409}, added.text
    body = {"person": person, "roles": list(roles), **more}
    made = (await admin.post("/v1/keys", json=body)).raise_for_status().json()
    code = {"code": made["enrolment_code"]}
    return (await admin.post("/v1/enrolments", json=code)).raise_for_status().json()
