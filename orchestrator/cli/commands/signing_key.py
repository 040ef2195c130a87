"""`tocsin signing-key`: whose signatures under playbook versions are believed?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.options import AsJson, Config, DataDir, actor, read_text, within
from orchestrator.cli.output import listing, say
from orchestrator.crypto.private_file import create_private, create_public
from orchestrator.crypto.signing import SigningKey
from orchestrator.domain.errors import Conflict
from orchestrator.registry import signing_keys

app = typer.Typer(
    help="Keys that sign playbook versions: made by their owners, believed here by their public halves.",
    no_args_is_help=True,
)

Fingerprint = Annotated[str, typer.Argument(help="The key's fingerprint.")]


@app.command("new")
def new(
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", metavar="FILE", help="Where the private key goes; FILE.pub beside it."
        ),
    ],
) -> None:
    """Make a key pair of your own: the private half stays with you (mode 600)."""
    key = SigningKey.new()
    if not create_private(out, key.pem()):
        message = f"{out}: is there already, and no key is written over; name another file"
        raise Conflict(message)
    public = out.with_name(f"{out.name}.pub")
    create_public(public, key.public.pem)
    say(
        f"{out} is yours alone; give {public} to an admin (fingerprint {key.id}, public key {key.public.hex})"
    )


@app.command("add")
def add(
    person: Annotated[str, typer.Argument(help="Whose it is, as their API key names them.")],
    file: Annotated[Path, typer.Argument(help="The public half: PEM, or 64 hex digits.")],
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Believe a person's key."""
    text = read_text(file)
    view = within(
        data_dir,
        config,
        lambda runtime: signing_keys.add_signing_key(runtime, person, text, actor=actor()),
    )
    say(f"key {view.fingerprint} is {view.person}'s")


@app.command("list")
def show(as_json: AsJson = False, data_dir: DataDir = None, config: Config = None) -> None:
    """All keys, revoked ones too."""
    found = within(data_dir, config, signing_keys.list_signing_keys)
    listing(
        found,
        ("fingerprint", "person", "public_key", "added_by", "added_at", "revoked_at"),
        as_json=as_json,
    )


@app.command("revoke")
def revoke(fingerprint: Fingerprint, data_dir: DataDir = None, config: Config = None) -> None:
    """Believe nothing that it signed any more: versions that need its signature do not run from now on."""
    within(
        data_dir,
        config,
        lambda runtime: signing_keys.revoke_signing_key(runtime, fingerprint, actor=actor()),
    )
    say(f"key {fingerprint} is revoked")
