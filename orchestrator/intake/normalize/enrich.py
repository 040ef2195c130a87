"""Enrichment of an alert's host and user with facts from the asset inventory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from orchestrator.domain.observable import (
    canonical_address,
    canonical_email,
    canonical_host,
    canonical_user,
)
from orchestrator.store.queries.policy_inputs import KnownAsset

Name = tuple[str, str]
"""Type and canonical value."""


def asset_names(view: Mapping[str, Any]) -> list[Name]:
    """Return the names to look up for an alert's host and user."""
    return [*_host_names(view.get("host")), *_user_names(view.get("user"))]


def enrich(view: dict[str, Any], inventory: Mapping[Name, Sequence[KnownAsset]]) -> dict[str, Any]:
    """Return the view with the inventory's facts.

    Where several assets match, one critical one suffices.
    """
    host, user = view.get("host"), view.get("user")
    if host:
        known = _found(inventory, _host_names(host))
        kind = next((asset.kind for asset in known if asset.kind != "unknown"), "unknown")
        host = {**host, "kind": kind, **_facts(known)}
    if user:
        user = {
            **user,
            **_facts(_found(inventory, _user_names(user))),
        }
    return {**view, "host": host, "user": user}


def _found(
    inventory: Mapping[Name, Sequence[KnownAsset]], names: Iterable[Name]
) -> list[KnownAsset]:
    return [asset for name in names for asset in inventory.get(name, ())]


def _facts(known: list[KnownAsset]) -> dict[str, Any]:
    critical = any(asset.critical or "critical" in asset.tags for asset in known)
    return {"critical": critical, "tags": sorted({tag for asset in known for tag in asset.tags})}


def _host_names(host: Mapping[str, Any] | None) -> list[Name]:
    """Return a full name's first label too, so that no domain controller is missed."""
    if not host:
        return []
    full = [*_canonical(canonical_host, [host.get("id"), host.get("name")])]
    short = [
        name.partition(".")[0]
        for name in full
        if "." in name and not name.replace(".", "").isdigit()
    ]
    addresses = _canonical(canonical_address, [host.get("address")])
    return [
        *(("host", name) for name in dict.fromkeys([*full, *short]) if name),
        *(("address", address) for address in addresses),
    ]


def _user_names(user: Mapping[str, Any] | None) -> list[Name]:
    if not user:
        return []
    name, domain, email = user.get("name"), user.get("domain"), user.get("email")
    spelled = [name, email, f"{domain}\\{name}" if domain and name else None]
    bare = [
        part
        for each in (name, email)
        if each
        for part in (each.rpartition("\\")[2], each.partition("@")[0])
    ]
    users = dict.fromkeys(_canonical(canonical_user, [*spelled, *bare]))
    return [
        *(("user", each) for each in users),
        *(("email", each) for each in _canonical(canonical_email, [email])),
    ]


def _canonical(spell: Callable[[str], str], texts: Iterable[str | None]) -> list[str]:
    """Return the canonical spellings; a text without one is in no inventory."""
    found = []
    for text in texts:
        try:
            found += [spell(text)] if text else []
        except ValueError:
            continue
    return found
