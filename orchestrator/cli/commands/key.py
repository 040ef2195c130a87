"""`tocsin key`: who may use the API?"""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.access import keys
from orchestrator.cli.options import AsJson, Config, DataDir, actor, length, within
from orchestrator.cli.output import console, listing, say
from orchestrator.domain.access import Permission, Role

app = typer.Typer(help="API keys: who may do what.", no_args_is_help=True)


@app.command("create")
def create(
    person: Annotated[
        str,
        typer.Argument(help="Whose key it is; two keys of one person count once in an approval."),
    ],
    role: Annotated[list[Role], typer.Option(help="viewer, analyst, approver, author or admin.")],
    group: Annotated[
        list[str] | None, typer.Option(help="A group that approvals may be addressed to.")
    ] = None,
    scope: Annotated[
        list[Permission] | None, typer.Option(help="Narrows the roles to these permissions.")
    ] = None,
    expires_in: Annotated[
        str | None, typer.Option(help="Such as 30d; without it, it does not expire.")
    ] = None,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Make a key; it is printed this once."""
    life = length(expires_in, "--expires-in") if expires_in else None
    view, token = within(
        data_dir,
        config,
        lambda runtime: keys.create_key(
            runtime,
            person,
            tuple(role),
            groups=tuple(group or ()),
            scopes=tuple(scope) if scope else None,
            expires_in=life,
            actor=actor(),
        ),
    )
    say(f"key {view.id} of {view.person}; shown only now:")
    console.out(token.get_secret_value(), highlight=False)


@app.command("list")
def show(as_json: AsJson = False, data_dir: DataDir = None, config: Config = None) -> None:
    """All keys, without what makes them work."""
    found = within(data_dir, config, keys.list_keys)
    listing(
        found,
        ("id", "person", "roles", "groups", "scopes", "created_at", "expires_at", "revoked_at"),
        as_json=as_json,
    )


@app.command("revoke")
def revoke(key_id: str, data_dir: DataDir = None, config: Config = None) -> None:
    """End a key now."""
    within(data_dir, config, lambda runtime: keys.revoke_key(runtime, key_id, actor=actor()))
    say(f"key {key_id} is revoked")
