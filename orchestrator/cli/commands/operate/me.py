"""`tocsin me` and `tocsin version`: who you are, and which Tocsin this is."""

from __future__ import annotations

from importlib.metadata import version as installed_version

from orchestrator.cli.command import Answer, Api, api_entry, draft_entry


@api_entry
def me(api: Api) -> Answer:
    """Show the person and the permissions of your key."""
    who = api.get("/v1/me")
    lines = [
        f"person: {who['person']}",
        f"roles: {', '.join(who['roles'])}",
        f"groups: {', '.join(who['groups']) or 'none'}",
        f"permissions: {', '.join(who['permissions'])}",
        f"key: {who['key_id']}, expires {who['expires_at'] or 'never'}",
    ]
    return Answer(who, "\n".join(lines))


@draft_entry
def version(api: Api | None) -> Answer:
    """Print the version of this command, and with --url or --context that of the installation."""
    own = installed_version("tocsin")
    if api is None:
        return Answer({"version": own}, f"tocsin {own}")
    found = api.get("/v1/version")
    text = f"tocsin {own}\n{api.url}: tocsin {found['version']}, {found['environment']}"
    return Answer({"version": own, "installation": found}, text)
