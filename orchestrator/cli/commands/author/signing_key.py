"""`tocsin signing-key`: keys that sign playbook versions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.command import Answer, Api, api_command, local_command, noun, table
from orchestrator.cli.options import read_text
from orchestrator.domain.errors import Conflict

app = noun("Keys that sign playbook versions.")

Fingerprint = Annotated[str, typer.Argument(help="The key's fingerprint.")]


@local_command(app, "new")
def new(
    out: Annotated[
        Path,
        typer.Option(
            "--file",
            "-f",
            metavar="FILE",
            help="The private key's file; FILE.pub is the public one.",
        ),
    ],
) -> Answer:
    """Create your key pair on this machine; the private key never leaves it (mode 600)."""
    from orchestrator.crypto.private_file import create_private, create_public
    from orchestrator.crypto.signing import SigningKey

    key = SigningKey.new()
    if not create_private(out, key.pem()):
        raise Conflict(f"{out}: exists already, and keys are never overwritten; name another file")
    public = out.with_name(f"{out.name}.pub")
    create_public(public, key.public.pem)
    return Answer(
        {"private_key": str(out), "fingerprint": key.id, "public_key": key.public.hex},
        f"{out} written; give {public} to an admin\n"
        f"fingerprint {key.id}, public key {key.public.hex}",
    )


@api_command(app, "add")
def add(
    api: Api,
    person: Annotated[str, typer.Argument(help="The key's owner, named as in their API key.")],
    file: Annotated[Path, typer.Argument(help="The public key: PEM, or 64 hex digits.")],
) -> Answer:
    """Trust a person's key."""
    key = api.post("/v1/signing-keys", {"person": person, "public_key": read_text(file)})
    return Answer(key, f"key {key['fingerprint']} of {key['person']} added")


@api_command(app, "list")
def list_signing_keys(api: Api) -> Answer:
    """List all keys, revoked ones included."""
    keys = api.items("/v1/signing-keys")
    return table(
        keys, "fingerprint", "person", "public_key", "added_by", "created_at", "revoked_at"
    )


@api_command(app, "revoke")
def revoke(api: Api, fingerprint: Fingerprint) -> Answer:
    """Stop trusting a key: versions that need its signature start no new runs."""
    api.delete(f"/v1/signing-keys/{fingerprint}")
    return Answer({"fingerprint": fingerprint}, f"key {fingerprint} revoked")
