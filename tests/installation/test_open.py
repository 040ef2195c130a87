"""Opening of an installation: what is missing, foreign, damaged or newer is refused, with the fix."""

from __future__ import annotations

import base64
import secrets
import shutil
from pathlib import Path

import pytest
from sqlalchemy import text

from orchestrator import first_start
from orchestrator.domain.errors import Conflict, Invalid, NotFound, TocsinError, Unavailable
from orchestrator.installation.identity import KeyState, bound_key, key_state, load_identity
from orchestrator.installation.marker import FILE
from orchestrator.installation.open import check_installation, open_existing, open_first
from orchestrator.settings import Settings
from tests.harness.databases import NewDatabase


async def _started(folder: Path, database: str | None = None) -> Settings:
    """The settings of an installation that was started once."""
    settings = Settings.load(data_dir=folder, database_url=database)
    rt = await open_first(settings)
    try:
        await first_start.prepare(rt, None)
    finally:
        await rt.close()
    return settings


async def _refusal(settings: Settings) -> str:
    """What the first start, a later process and the check of the doctor all say."""
    before = _files(settings.data_dir)
    said = set()
    for refuse in (open_first, open_existing, check_installation):
        with pytest.raises(TocsinError) as refused:
            await refuse(settings)
        said.add(str(refused.value))
    assert _files(settings.data_dir) == before, "a refusal creates nothing"
    assert len(said) == 1, said
    return said.pop()


def _files(folder: Path) -> set[str]:
    passing = ("-wal", "-shm")  # SQLite's journal, which reading may create
    return {path.name for path in folder.glob("*") if not path.name.endswith(passing)}


def _other_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


async def test_a_started_installation_opens_with_its_keys(
    tmp_path: Path, empty_database: str | None
) -> None:
    settings = await _started(tmp_path / "data", empty_database)
    for open_again in (open_first, open_existing):
        rt = await open_again(settings)
        assert await key_state(rt) is KeyState.OK
        await rt.close()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("encryption.key", "put the key of your backup back"),
        ("audit.key", "a new key cannot sign the existing audit trail"),
    ],
)
async def test_a_missing_key_of_a_database_is_refused_and_not_created(
    tmp_path: Path, empty_database: str | None, name: str, expected: str
) -> None:
    settings = await _started(tmp_path / "data", empty_database)
    (settings.data_dir / name).unlink()
    for refuse in (open_first, open_existing):
        with pytest.raises(Invalid, match=expected):
            await refuse(settings)
    assert not (settings.data_dir / name).exists()


async def test_keys_of_another_installation_are_refused(
    tmp_path: Path, empty_database: str | None
) -> None:
    settings = await _started(tmp_path / "data", empty_database)
    await _started(tmp_path / "other")
    for name in ("encryption.key", "audit.key"):
        kept = (settings.data_dir / name).read_bytes()
        shutil.copy(tmp_path / "other" / name, settings.data_dir / name)
        (settings.data_dir / "audit.pub").unlink(missing_ok=True)
        for refuse in (open_first, open_existing):
            with pytest.raises(Invalid, match=rf"{name}: is not the .* key of .*its backup back"):
                await refuse(settings)
        (settings.data_dir / name).write_bytes(kept)


async def test_a_foreign_key_in_the_environment_is_refused(tmp_path: Path) -> None:
    await _started(tmp_path / "data")
    settings = Settings.load(data_dir=tmp_path / "data", encryption_key=_other_key())
    with pytest.raises(Invalid, match="TOCSIN_ENCRYPTION_KEY: is not the encryption key of"):
        await open_existing(settings)


async def test_a_damaged_key_of_a_database_is_to_be_restored_not_created(tmp_path: Path) -> None:
    settings = await _started(tmp_path / "data")
    (settings.data_dir / "encryption.key").write_text("garbage\n")
    for refuse in (open_first, open_existing):
        with pytest.raises(Invalid, match="put the key of your backup back") as refused:
            await refuse(settings)
        assert "openssl" not in str(refused.value)


async def test_a_start_with_a_newer_key_leaves_the_rotation_to_its_command(tmp_path: Path) -> None:
    settings = await _started(tmp_path / "data")
    path = settings.encryption_key_path
    path.write_text(f"new:{_other_key()},{path.read_text().strip()}\n")
    await _started(tmp_path / "data")
    rt = await open_existing(settings)
    identity = await load_identity(rt.store)
    assert identity is not None
    assert bound_key(rt, identity) != "new"
    await rt.close()


async def test_keys_without_their_database_are_refused(tmp_path: Path) -> None:
    settings = await _started(tmp_path / "data")
    for file in (tmp_path / "data").glob("tocsin.db*"):
        file.unlink()
    said = await _refusal(settings)
    assert "tocsin.db: is missing" in said
    assert "keys without their database; restore it from your backup" in said
    for name in said.partition(" or remove ")[2].partition(" to begin")[0].split(", "):
        (settings.data_dir / name).unlink()
    await _started(tmp_path / "data")


async def test_an_empty_database_server_with_the_keys_of_another_is_refused(
    tmp_path: Path, postgresql_server: NewDatabase
) -> None:
    await _started(tmp_path / "data", postgresql_server())
    settings = Settings.load(data_dir=tmp_path / "data", database_url=postgresql_server())
    assert "holds no Tocsin, but" in await _refusal(settings)


async def test_a_data_directory_with_its_database_elsewhere_gets_no_second_one(
    tmp_path: Path, postgresql_server: NewDatabase
) -> None:
    url = postgresql_server()
    await _started(tmp_path / "data", url)
    said = await _refusal(Settings.load(data_dir=tmp_path / "data"))
    assert "the database of this installation is postgresql://" in said
    assert "set database_url (TOCSIN_DATABASE_URL" in said
    assert not (tmp_path / "data" / "tocsin.db").exists()


async def test_the_database_of_another_installation_is_refused(tmp_path: Path) -> None:
    settings = await _started(tmp_path / "data")
    other = await _started(tmp_path / "other")
    for file in settings.data_dir.glob("tocsin.db*"):
        file.unlink()
    shutil.copy(other.data_dir / "tocsin.db", settings.data_dir / "tocsin.db")
    assert "from the same backup" in await _refusal(settings)


@pytest.mark.parametrize("damage", ["header", "middle", "truncated"])
@pytest.mark.parametrize("name", ["tocsin.db", "temporal.db"])
async def test_a_damaged_database_file_is_to_be_restored(
    tmp_path: Path, name: str, damage: str
) -> None:
    settings = await _started(tmp_path / "data")
    path = settings.data_dir / name
    if name == "temporal.db":
        shutil.copy(settings.data_dir / "tocsin.db", path)
    content = bytearray(path.read_bytes())
    match damage:
        case "header":
            content[:100] = secrets.token_bytes(100)
        case "middle":
            content[4096 : 4096 * 20] = secrets.token_bytes(4096 * 19)
        case _:
            del content[len(content) // 2 :]
    path.write_bytes(content)
    said = await _refusal(settings)
    assert f"{path}: is damaged (" in said
    assert "restore it from your backup (docs/operating.md#backup)" in said
    assert "sqlalche.me" not in said


async def test_a_database_of_a_newer_version_is_refused(
    tmp_path: Path, empty_database: str | None
) -> None:
    settings = await _started(tmp_path / "data", empty_database)
    rt = await open_existing(settings)
    async with rt.store.write() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await rt.close()
    for refuse in (open_first, open_existing, check_installation):
        with pytest.raises(Conflict, match="a newer Tocsin has migrated it; install that version"):
            await refuse(settings)


async def test_a_data_directory_that_others_can_read_is_refused(tmp_path: Path) -> None:
    settings = await _started(tmp_path / "data")
    settings.data_dir.chmod(0o755)
    assert await _refusal(settings) == (
        f"{settings.data_dir}: other users can read it; run: chmod 700 {settings.data_dir}"
    )


async def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    settings = await _started(tmp_path / "data")
    for name in ("encryption.key", "audit.key"):
        (settings.data_dir / name).chmod(0o644)
        for refuse in (open_first, open_existing):
            with pytest.raises(Invalid, match="run: chmod 600"):
                await refuse(settings)
        (settings.data_dir / name).chmod(0o600)


async def test_only_a_first_start_makes_an_installation(tmp_path: Path) -> None:
    settings = Settings.load(data_dir=tmp_path / "none")
    with pytest.raises(NotFound, match="no Tocsin here"):
        await open_existing(settings)
    assert await check_installation(settings) is None
    assert not settings.data_dir.exists()


async def test_a_first_start_that_was_cut_off_can_be_repeated(tmp_path: Path) -> None:
    settings = Settings.load(data_dir=tmp_path / "data")
    rt = await open_first(settings)  # keys and an empty database file, and no more
    await rt.close()
    assert (tmp_path / "data" / "encryption.key").exists()
    await _started(tmp_path / "data")


async def test_a_second_machine_needs_the_keys_of_the_first(
    tmp_path: Path, postgresql_server: NewDatabase
) -> None:
    url = postgresql_server()
    first = await _started(tmp_path / "first", url)
    second = Settings.load(data_dir=tmp_path / "second", database_url=url)
    with pytest.raises(Invalid, match="that of the machine with the first start"):
        await open_existing(second)
    for name in ("encryption.key", "audit.key"):
        shutil.copy(first.data_dir / name, second.data_dir / name)
    rt = await open_existing(second)
    assert await key_state(rt) is KeyState.OK
    await rt.close()


async def test_a_database_server_that_does_not_answer_is_named_without_its_password(
    tmp_path: Path,
) -> None:
    url = "postgresql://user:hunter2@127.0.0.1:1/tocsin"
    settings = Settings.load(data_dir=tmp_path / "data", database_url=url)
    with pytest.raises(Unavailable, match=r"postgresql://127.0.0.1:1/tocsin: does not answer"):
        await open_first(settings)
    assert not (tmp_path / "data" / FILE).exists()
