"""Key files are sealed to an identity elsewhere, rotated, backed up and recovered by two people."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from orchestrator import first_start
from orchestrator.backup.create import make_backup
from orchestrator.backup.restore import restore_backup
from orchestrator.crypto.key_provider import is_sealed
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict, Invalid
from orchestrator.installation.open import open_existing, open_first
from orchestrator.key_rotation import key_files
from orchestrator.key_rotation.audit_key import rotate_audit_key
from orchestrator.key_rotation.key_files import (
    create_identity,
    escrow_keys,
    recover_keys,
    seal_key_files,
    unseal_key_files,
)
from orchestrator.key_rotation.ring_file import RingFile
from orchestrator.key_rotation.rotate import rotate
from orchestrator.key_rotation.step import RotationStep
from orchestrator.settings import Settings
from orchestrator.store.tables import AuditEventRow
from tests.harness.commands import tocsin
from tests.harness.doc_blocks import of

FILES = ("encryption.key", "audit.key")


@pytest.fixture
def identity(tmp_path: Path) -> Path:
    """An identity on another mount."""
    path = tmp_path / "mount" / "tocsin.identity"
    create_identity(path)
    return path


@pytest.fixture
async def plain(tmp_path: Path) -> Settings:
    """An installation with keys in the clear."""
    settings = Settings(data_dir=tmp_path / "data")
    rt = await open_first(settings)
    try:
        await first_start.prepare(rt, None)
    finally:
        await rt.close()
    return settings


def sealed_to(settings: Settings, identity: Path, **more: Any) -> Settings:
    return settings.model_copy(update={"key_identity_file": identity, **more})


def contents(settings: Settings) -> list[bytes]:
    return [(settings.data_dir / name).read_bytes() for name in FILES]


async def opens(settings: Settings) -> str:
    rt = await open_existing(settings)
    try:
        return rt.secrets.newest_key_id
    finally:
        await rt.close()


async def test_sealed_keys_open_with_the_identity_and_return_to_what_they_were(
    plain: Settings, identity: Path
) -> None:
    before, key = contents(plain), await opens(plain)
    settings = sealed_to(plain, identity)
    for _ in range(2):  # as after a command that was cut off
        assert [path.name for path in seal_key_files(settings)] == list(FILES)
        assert all(map(is_sealed, contents(plain)))
        assert all((plain.data_dir / name).stat().st_mode & 0o777 == 0o600 for name in FILES)
        assert await opens(settings) == key
    unseal_key_files(settings)
    assert contents(plain) == before
    assert await opens(plain) == key


@pytest.mark.attack("open a stolen data directory", before="its key files were in the clear in it")
async def test_stolen_data_directory_opens_nothing_without_the_identity(
    plain: Settings, identity: Path, tmp_path: Path
) -> None:
    secrets = [line for content in contents(plain) for line in content.splitlines()]
    seal_key_files(sealed_to(plain, identity))
    stolen = tmp_path / "stolen"
    shutil.copytree(plain.data_dir, stolen)
    with pytest.raises(Invalid, match=r"encryption\.key: is sealed by age; set key_identity"):
        await opens(Settings(data_dir=stolen))
    create_identity(tmp_path / "thief.identity")
    with pytest.raises(Invalid, match=r"thief\.identity does not open it"):
        await opens(sealed_to(Settings(data_dir=stolen), tmp_path / "thief.identity"))
    found = b"".join(path.read_bytes() for path in stolen.rglob("*") if path.is_file())
    assert not [line for line in secrets if b"-----" not in line and line in found]


async def test_rotation_seals_to_the_recipients_of_the_settings_only(
    plain: Settings, identity: Path, tmp_path: Path
) -> None:
    recovery = tmp_path / "mount" / "recovery.identity"
    settings = sealed_to(plain, identity, key_recipients=(create_identity(recovery),))
    seal_key_files(settings)
    rt = await open_existing(settings)
    try:
        done = await rotate(rt, RotationStep.ALL, lambda _: None, actor="person:a")
    finally:
        await rt.close()
    assert is_sealed((plain.data_dir / "encryption.key").read_bytes())
    assert await opens(settings) == done.key
    assert await opens(sealed_to(plain, recovery)) == done.key
    create_identity(tmp_path / "other.identity")
    with pytest.raises(Invalid, match="does not open it"):
        RingFile(sealed_to(plain, tmp_path / "other.identity")).ring  # noqa: B018  it reads


async def test_rotated_audit_key_is_sealed_as_well(plain: Settings, identity: Path) -> None:
    settings = sealed_to(plain, identity)
    seal_key_files(settings)
    rt = await open_existing(settings)
    try:
        added = await rotate_audit_key(rt, RotationStep.ADD, lambda _: None, actor="person:a")
        assert is_sealed((plain.data_dir / "audit.next.key").read_bytes())
        names = [path.name for path in seal_key_files(settings)]
        assert names == [*FILES, "audit.next.key"]
        done = await rotate_audit_key(rt, RotationStep.ALL, lambda _: None, actor="person:a")
        assert done.public_key == added.public_key
    finally:
        await rt.close()
    assert all(map(is_sealed, contents(plain)))
    await opens(settings)


async def test_first_start_with_an_identity_writes_no_key_in_the_clear(
    tmp_path: Path, identity: Path
) -> None:
    settings = sealed_to(Settings(data_dir=tmp_path / "data"), identity)
    rt = await open_first(settings)
    await first_start.prepare(rt, None)
    await rt.close()
    assert all(map(is_sealed, contents(settings)))


async def test_a_seal_that_is_cut_off_leaves_keys_that_open(
    plain: Settings, identity: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, replace = sealed_to(plain, identity), key_files.replace_private

    def replace_one(path: Path, content: bytes) -> None:
        if path.name == "audit.key":
            raise KeyboardInterrupt
        replace(path, content)

    monkeypatch.setattr(key_files, "replace_private", replace_one)
    with pytest.raises(KeyboardInterrupt):
        seal_key_files(settings)
    monkeypatch.undo()
    assert [is_sealed(content) for content in contents(plain)] == [True, False]
    await opens(settings)
    seal_key_files(settings)
    assert all(map(is_sealed, contents(plain)))


async def test_backup_with_keys_restores_them_sealed_to_the_identity(
    plain: Settings, identity: Path, tmp_path: Path
) -> None:
    settings, passphrase = sealed_to(plain, identity), SecretStr("correct horse battery")
    seal_key_files(settings)
    rt = await open_existing(settings)
    key = rt.secrets.newest_key_id
    await make_backup(rt, tmp_path / "backup", passphrase)
    await rt.close()
    shutil.rmtree(plain.data_dir)
    await restore_backup(settings, tmp_path / "backup", passphrase)
    assert all(map(is_sealed, contents(plain)))
    assert await opens(settings) == key


def test_an_identity_that_cannot_be_used_is_refused(
    tmp_path: Path, identity: Path, plain: Settings
) -> None:
    def refused(path: Path) -> str:
        with pytest.raises(Invalid) as error:
            seal_key_files(sealed_to(plain, path))
        return str(error.value)

    before = contents(plain)
    assert "does not exist; mount it" in refused(tmp_path / "missing")
    identity.chmod(0o644)
    assert f"run: chmod 600 {identity}" in refused(identity)
    empty = tmp_path / "empty"
    empty.touch(0o600)
    assert "holds no age identity" in refused(empty)
    inside = plain.data_dir / "tocsin.identity"
    create_identity(inside)
    assert "is in the data directory, whose thief would have both" in refused(inside)
    with pytest.raises(Invalid, match="set key_identity_file"):
        seal_key_files(plain)
    identity.chmod(0o600)
    with pytest.raises(Invalid, match=r"key_recipients: 'age1x' is not a recipient"):
        seal_key_files(sealed_to(plain, identity, key_recipients=("age1x",)))
    assert contents(plain) == before


@pytest.mark.attack(
    "recover the keys alone", before="any one person with a copy of the keys had them"
)
async def test_two_people_recover_the_keys_only_together(plain: Settings, tmp_path: Path) -> None:
    people = [tmp_path / name for name in ("ann.identity", "bob.identity")]
    recipients = [create_identity(path) for path in people]
    copy, before = tmp_path / "keys.escrow", contents(plain)
    rt = await open_existing(plain)
    with pytest.raises(Invalid, match="name two people or more, each once"):
        await escrow_keys(rt, copy, [recipients[0], recipients[0]], actor="person:ann")
    await escrow_keys(rt, copy, recipients, actor="person:ann")
    with pytest.raises(Conflict, match="exists already; name a new file"):
        await escrow_keys(rt, copy, recipients, actor="person:ann")
    async with rt.store.read() as session:
        kind = AuditEventRow.kind == EventKind.KEYS_ESCROWED
        [event] = list(await session.scalars(select(AuditEventRow).where(kind)))
    assert (event.actor, event.data["recipients"]) == ("person:ann", recipients)
    await rt.close()
    with pytest.raises(Conflict, match="exist already; move them aside"):
        recover_keys(plain, copy, people)
    for name in FILES:
        (plain.data_dir / name).unlink()
    for alone in people:
        with pytest.raises(Invalid, match="wants those of all people"):
            recover_keys(plain, copy, [alone])
    assert not (plain.data_dir / FILES[0]).exists()
    recover_keys(plain, copy, people)
    assert [each.split() for each in contents(plain)] == [each.split() for each in before]
    await opens(plain)


def test_doctor_shows_where_the_keys_are_and_finds_keys_in_the_clear(
    plain: Settings, identity: Path
) -> None:
    def said(**given: str) -> str:
        return tocsin("doctor", "--data-dir", plain.data_dir, **given).stdout

    assert "keys: files in the clear (mode 600)" in said()
    given = {"TOCSIN_KEY_IDENTITY_FILE": str(identity)}
    assert "in the clear, in spite of key_identity_file; run `tocsin keys seal`" in said(**given)
    assert tocsin("keys", "seal", "--data-dir", plain.data_dir, **given).returncode == 0
    assert f"keys: age files, opened by {identity}" in said(**given)
    assert "is sealed by age; set key_identity_file" in said()


def test_the_commands_of_the_page_seal_and_recover_keys(plain: Settings, tmp_path: Path) -> None:
    shim = tmp_path / "bin" / "tocsin"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m orchestrator.cli "$@"\n')
    shim.chmod(0o755)
    (tmp_path / "mnt").mkdir()
    seal, escrow, recover = (block.text for block in of("bash keys"))
    lost = 'rm "$TOCSIN_DATA_DIR"/encryption.key "$TOCSIN_DATA_DIR"/audit.key'
    script = f"{seal}\n{escrow}\n{lost}\n{recover}".replace("/mnt/", f"{tmp_path}/mnt/")
    subprocess.run(
        ["bash", "-euc", script],
        cwd=tmp_path,
        env={
            **{name: text for name, text in os.environ.items() if not name.startswith("TOCSIN_")},
            "PATH": f"{shim.parent}:{os.environ['PATH']}",
            "TOCSIN_DATA_DIR": str(plain.data_dir),
        },
        timeout=300,
        check=True,
    )
    assert all(map(is_sealed, contents(plain)))
