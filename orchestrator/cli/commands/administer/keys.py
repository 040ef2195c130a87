"""`tocsin keys`: the encryption keys and the audit key of this machine, and their rotation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.command import Answer, Table, local_command, noun
from orchestrator.cli.installation import local_actor, on_installation
from orchestrator.cli.options import Config, DataDir
from orchestrator.cli.output import print_line
from orchestrator.domain.errors import Conflict

if TYPE_CHECKING:
    from orchestrator.runtime import Runtime

app = noun("Encryption keys and audit key of this installation, and their rotation.")

_STEPS = ("all", "add", "use", "finish")


@local_command(app, "list")
def list_keys(data_dir: DataDir = None, config: Config = None) -> Answer:
    """List the encryption keys with their use and how many rows each has sealed."""

    async def work(rt: Runtime) -> list[dict[str, Any]]:
        from orchestrator.key_rotation.ring_file import RingFile
        from orchestrator.key_rotation.sealed import keys_in_use

        used, ring = await keys_in_use(rt), RingFile(rt.settings).ring
        return [
            {
                "key": key.id,
                "use": "in use" if key == ring.newest else key.use.value or "older",
                "rows": used.get(key.id, 0),
            }
            for key in ring.keys
        ]

    items = on_installation(work, data_dir, config)
    return Answer(items, Table(items, ("key", "use", "rows")))


@local_command(app, "rotate")
def rotate(
    step: Annotated[
        str,
        typer.Option(
            help="all on one machine; with the key file on several, add, use and finish, and "
            "copy the file to each machine after every step."
        ),
    ] = "",
    audit: Annotated[
        bool, typer.Option("--audit", help="Rotate the key that signs the audit trail instead.")
    ] = False,
    data_dir: DataDir = None,
    config: Config = None,
) -> Answer:
    """Rotate a key while the stack runs, that of encryption by default.

    Repeat the command where it was cut off.
    """
    if step not in {"", *_STEPS}:
        raise typer.BadParameter(f"choose one of {', '.join(_STEPS)}", param_hint="--step")
    if audit:
        return _rotate_audit_key(step, data_dir, config)

    async def work(rt: Runtime) -> Any:
        from orchestrator.key_rotation.rotate import rotate as rotate_key
        from orchestrator.key_rotation.step import RotationStep

        _require_step(rt, step)
        return await rotate_key(rt, RotationStep(step or "all"), print_line, actor=local_actor())

    done = on_installation(work, data_dir, config)
    data = {
        "key": done.key,
        "retired": list(done.retired),
        "resealed": done.resealed,
        "refused": done.refused,
    }
    text = f"{done.resealed} rows sealed again by key {done.key}"
    if done.refused:
        text += f"; {done.refused} rows do not verify, and stay refused: see `tocsin doctor`"
    if done.retired:
        text += "; drop a retired key with `tocsin keys drop` once no run from before is open"
    return Answer(data, text)


@local_command(app, "drop")
def drop(
    key: Annotated[str, typer.Argument(help="The id of a retired key.")],
    data_dir: DataDir = None,
    config: Config = None,
) -> Answer:
    """Remove a retired encryption key, once nothing needs it."""

    async def work(rt: Runtime) -> None:
        from orchestrator.engine.temporal.client import connect
        from orchestrator.key_rotation.rotate import drop as drop_key

        await drop_key(rt, await connect(rt), key, actor=local_actor())

    on_installation(work, data_dir, config)
    return Answer({"key": key}, f"key {key} dropped; remove it from your backups as well")


def _rotate_audit_key(step: str, data_dir: Any, config: Any) -> Answer:
    async def work(rt: Runtime) -> Any:
        from orchestrator.key_rotation.audit_key import rotate_audit_key
        from orchestrator.key_rotation.step import RotationStep

        _require_step(rt, step)
        return await rotate_audit_key(
            rt, RotationStep(step or "all"), print_line, actor=local_actor()
        )

    done = on_installation(work, data_dir, config)
    data = {"key": done.key, "public_key": done.public_key, "batch": done.batch}
    text = f"audit key {done.key} (public key {done.public_key})"
    if done.batch is not None:
        text += f" signs the trail after batch {done.batch}; keep a head of it: `tocsin audit head`"
    return Answer(data, text)


def _require_step(rt: Runtime, step: str) -> None:
    if not step and rt.settings.database_url is not None:
        raise Conflict(
            "this database may have processes on several machines: use --step all where this "
            "is the only one, else --step add, use and finish (docs/operating.md#rotate-keys)"
        )


@local_command(app, "identity")
def identity(
    file: Annotated[Path, typer.Argument(help="The new file of the identity (mode 600).")],
) -> Answer:
    """Create an age identity, and print its recipient, to which keys are sealed."""
    from orchestrator.key_rotation.key_files import create_identity

    recipient = create_identity(file)
    return Answer({"file": str(file), "recipient": recipient}, recipient)


@local_command(app, "seal")
def seal(data_dir: DataDir = None, config: Config = None) -> Answer:
    """Seal both key files to the identity in key_identity_file, and to key_recipients."""
    from orchestrator.key_rotation.key_files import seal_key_files
    from orchestrator.settings import Settings

    return _files(seal_key_files(Settings.load(config, data_dir=data_dir)), "sealed")


@local_command(app, "unseal")
def unseal(data_dir: DataDir = None, config: Config = None) -> Answer:
    """Write both key files in the clear again; then unset key_identity_file."""
    from orchestrator.key_rotation.key_files import unseal_key_files
    from orchestrator.settings import Settings

    return _files(unseal_key_files(Settings.load(config, data_dir=data_dir)), "in the clear")


@local_command(app, "escrow")
def escrow(
    file: Annotated[Path, typer.Argument(help="The new file of the copy.")],
    recipient: Annotated[
        list[str], typer.Option(help="A person's recipient (age1...); repeat it for each.")
    ],
    data_dir: DataDir = None,
    config: Config = None,
) -> Answer:
    """Write a copy of both keys that two people, or more, open only together."""

    async def work(rt: Runtime) -> None:
        from orchestrator.key_rotation.key_files import escrow_keys

        await escrow_keys(rt, file, recipient, actor=local_actor())

    on_installation(work, data_dir, config)
    data = {"file": str(file), "people": len(recipient)}
    return Answer(data, f"{file}: opens with all {len(recipient)} identities together")


@local_command(app, "recover")
def recover(
    file: Annotated[Path, typer.Argument(help="A file of `tocsin keys escrow`.")],
    identity: Annotated[
        list[Path], typer.Option(help="The file of a person's identity; repeat it for each.")
    ],
    data_dir: DataDir = None,
    config: Config = None,
) -> Answer:
    """Write the keys of an escrow into a data directory without keys."""
    from orchestrator.key_rotation.key_files import recover_keys
    from orchestrator.settings import Settings

    settings = Settings.load(config, data_dir=data_dir)
    return _files(recover_keys(settings, file, identity), "recovered")


def _files(files: list[Path], state: str) -> Answer:
    names = [str(each) for each in files]
    return Answer({"files": names}, f"{', '.join(names)}: {state}")
