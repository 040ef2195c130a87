"""`tocsin backup` and `tocsin restore`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.options import Config, DataDir, read_text
from orchestrator.cli.output import print_line

if TYPE_CHECKING:
    from pydantic import SecretStr

    from orchestrator.backup.restore import Restored

PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file", metavar="FILE", help="A file with the passphrase of the keys."
    ),
]


def backup(
    folder: Annotated[Path, typer.Argument(help="The new folder of the backup (mode 700).")],
    with_keys: Annotated[
        bool,
        typer.Option("--with-keys", help="With both keys, encrypted by --passphrase-file."),
    ] = False,
    passphrase_file: PassphraseFile = None,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Back up both databases while Tocsin runs. Without --with-keys, the keys stay apart."""
    from orchestrator.backup.create import make_backup
    from orchestrator.backup.manifest import Manifest
    from orchestrator.domain.errors import Invalid
    from orchestrator.installation.open import open_existing
    from orchestrator.settings import Settings

    if with_keys != (passphrase_file is not None):
        raise Invalid("--with-keys and --passphrase-file belong together: keys are never in clear")
    passphrase = _passphrase(passphrase_file)

    async def run() -> Manifest:
        rt = await open_existing(Settings.load(config, data_dir=data_dir))
        try:
            return await make_backup(rt, folder, passphrase)
        finally:
            await rt.close()

    made = asyncio.run(run())
    size = sum(file.bytes for file in made.files)
    end = f"up to batch {made.head.batch} of the audit trail" if made.head else "without a trail"
    apart = "" if with_keys else "; keep encryption.key and audit.key elsewhere, they are not in it"
    print_line(f"{folder}: {', '.join(sorted(made.names()))} ({size} bytes), {end}{apart}")


def restore(
    folder: Annotated[Path, typer.Argument(help="The folder of a backup.")],
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Replace what is there; the data directory is moved aside."),
    ] = False,
    passphrase_file: PassphraseFile = None,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Restore a backup while Tocsin is stopped, and continue its audit trail."""
    from orchestrator.backup.restore import restore_backup
    from orchestrator.settings import Settings

    settings = Settings.load(config, data_dir=data_dir)
    passphrase = _passphrase(passphrase_file)
    done = asyncio.run(restore_backup(settings, folder, passphrase, replace=replace))
    print_line(_describe(done, settings.data_dir))


def _describe(done: Restored, data_dir: Path) -> str:
    restore = done.restore
    source = f"{data_dir}: restored from the backup of {restore.backup}"
    lines = [f"{source}; the audit trail continues after batch {restore.to_batch}"]
    if restore.from_seq:
        lines.append(f"lost: events {restore.to_seq + 1}..{restore.from_seq}")
    if done.moved is not None:
        lines.append(f"before: {done.moved}")
    lines.append(
        f"next: tocsin up; {done.held} containments are read back from their devices, and "
        "`tocsin orphan list` shows what was applied after the backup"
    )
    return "\n".join(lines)


def _passphrase(file: Path | None) -> SecretStr | None:
    from pydantic import SecretStr

    return None if file is None else SecretStr(read_text(file).strip())
