"""Rotation of the audit key: one chain under every pinned key, and cut off at any point."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from orchestrator import first_start
from orchestrator.audit.anchor import BrokenTrail
from orchestrator.audit.keys.change import load_key_changes
from orchestrator.audit.sealer import export_trail, seal_pending
from orchestrator.audit.sinks.stream import SinkStream
from orchestrator.audit.transparency import heads, witness
from orchestrator.audit.transparency.proof import proof_findings
from orchestrator.audit.verify.check import Kept, Report, verify, verify_proof
from orchestrator.audit.verify.kept_files import load_kept_head
from orchestrator.backup.create import make_backup
from orchestrator.backup.restore import restore_backup
from orchestrator.crypto import private_file, signing_file
from orchestrator.crypto.signing import PublicKey, SigningKey, load_public_key, load_signing_key
from orchestrator.domain.clock import utc_now
from orchestrator.domain.errors import Conflict
from orchestrator.installation.open import open_existing, open_first
from orchestrator.key_rotation.audit_key import rotate_audit_key
from orchestrator.key_rotation.step import RotationStep
from orchestrator.runtime import Runtime
from orchestrator.settings import Settings
from tests.audit.test_anchor import sealed, tamper
from tests.harness.commands import tocsin
from tests.harness.killed_process import run_killed

POINTS = (
    (private_file, "sync_folder"),
    (signing_file, "sync_folder"),
    (os, "link"),
    (os, "pwrite"),
    (os, "fsync"),
    (Path, "replace"),
    (Path, "unlink"),
)
"""Calls before which a rotation is killed."""


def settings_of(folder: Path) -> Settings:
    return Settings(data_dir=folder, audit_sinks=(f"file://{folder.parent}/sink.jsonl",))


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Runtime]:
    rt = await open_existing(settings_of(folder))
    try:
        yield rt
    finally:
        await rt.close()


async def prepare(folder: Path) -> None:
    rt = await open_first(settings_of(folder))
    await first_start.prepare(rt, None)
    await sealed(rt, 2)
    await rt.close()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rotation") / "data"
    asyncio.run(prepare(folder))
    return folder


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    copied = tmp_path / "data"
    shutil.copytree(template, copied)
    return copied


async def rotated(rt: Runtime, step: RotationStep = RotationStep.ALL) -> PublicKey:
    done = await rotate_audit_key(rt, step, lambda _: None, actor="person:ann")
    return PublicKey.parse(done.public_key, "done")


async def exported(rt: Runtime, key: PublicKey | None, **kept: Any) -> Report:
    path = rt.settings.data_dir.parent / "t.jsonl"
    await export_trail(rt, path)
    return verify(path, key, Kept(**kept))


async def doctor(folder: Path) -> str:
    return (await asyncio.to_thread(tocsin, "doctor", "--data-dir", folder)).stdout


async def test_every_key_that_signed_verifies_the_whole_trail(folder: Path) -> None:
    async with opened(folder) as rt:
        keys = [rt.audit_key.public]
        for _ in range(2):
            keys.append(await rotated(rt))
            await sealed(rt, 2)
        assert len(set(keys)) == 3
        assert rt.audit_key.public == load_public_key(folder / "audit.pub") == keys[-1]
        for key in keys:
            report = await exported(rt, key)
            assert (report.status, report.findings) == ("intact", ())
            changes = [note for note in report.notes if "changes the audit key" in note]
            assert f"from {keys[0].id} to {keys[1].id}" in changes[0]
            assert f"from {keys[1].id} to {keys[2].id}" in changes[1]
        assert (await exported(rt, SigningKey.new().public)).status == "altered"
        assert not list(folder.glob("audit.*.key")), "retired keys are gone"


async def test_an_export_right_after_the_change_is_intact(folder: Path) -> None:
    async with opened(folder) as rt:
        old = rt.audit_key.public
        new = await rotated(rt)
        for key in (old, new, None):
            assert (await exported(rt, key)).status == "intact"


async def test_running_processes_follow_the_rotation(folder: Path) -> None:
    async with opened(folder) as worker, opened(folder) as api, opened(folder) as command:
        old = worker.audit_key.public
        new = await rotated(command)
        await sealed(worker, 1)
        assert (await heads.load_head(api)).key_id == new.id
        assert (await exported(api, old)).status == "intact"


async def test_what_was_kept_elsewhere_before_and_after_fits(folder: Path) -> None:
    async with opened(folder) as rt:
        old, sink, notary = rt.audit_key.public, folder.parent / "sink.jsonl", SigningKey.new()
        early = folder.parent / "early.head"
        await exported(rt, old)
        shutil.copyfile(rt.settings.audit_head_path, early)
        kept_heads, cosigned = [], []
        for rotates in (True, True, False):
            await sealed(rt, 2)
            await SinkStream(rt).deliver()
            if rotates:
                await rotated(rt)
            head = await heads.load_head(rt)
            kept_heads.append(head)
            cosigned.append(witness.cosign(notary, "cert", head, utc_now()))
        await SinkStream(rt).deliver()
        for key in (old, rt.audit_key.public):
            for head in kept_heads:
                proof = await heads.prove(rt, head.batch)
                assert proof_findings(proof, head, key) == []
            assert "as both keys signed" in verify_proof(proof, key, head).notes[0]
            shutil.copyfile(rt.settings.audit_anchor_path, folder.parent / "anchor")
            for kept in (
                {"sink": sink},
                {"anchor": folder.parent / "anchor"},
                {"cosignatures": tuple(cosigned)},
                *({"head": head} for head in kept_heads),
                {"head": load_kept_head(early)},
            ):
                report = await exported(rt, key, **kept)
                assert (report.status, report.findings) == ("intact", ())


async def test_a_sink_that_was_behind_catches_up_over_the_change(folder: Path) -> None:
    async with opened(folder) as rt:
        old = rt.audit_key.public
        await rotated(rt)
        await sealed(rt, 1)
        await SinkStream(rt).deliver()
        report = await exported(rt, old, sink=folder.parent / "sink.jsonl")
        assert (report.status, report.findings) == ("intact", ())


async def test_a_machine_with_copies_of_the_files_follows_step_by_step(folder: Path) -> None:
    other = folder.parent / "other"
    async with opened(folder) as rt:
        first = rt.audit_key.public
        with pytest.raises(Conflict, match="--step add"):
            await rotated(rt, RotationStep.USE)
        assert "is not over" not in await doctor(folder)
        added = await rotated(rt, RotationStep.ADD)
        assert f"the rotation to key {added.id} is not over" in await doctor(folder)
        assert await rotated(rt, RotationStep.ADD) == added, "no second key"
        with pytest.raises(Conflict, match="--step use"):
            await rotated(rt, RotationStep.FINISH)
        await sealed(rt, 1)
        assert rt.audit_key.public == first
        shutil.copytree(folder, other)
        assert await rotated(rt, RotationStep.USE) == added
        await sealed(rt, 1)
        for name in ("tocsin.db", "tocsin.db-wal", "tocsin.db-shm"):
            shutil.copyfile(folder / name, other / name)
    async with opened(other) as rt:
        await sealed(rt, 1)
        assert await rotated(rt, RotationStep.FINISH) == added
        await sealed(rt, 1)
        assert (await exported(rt, first)).status == "intact"


async def test_a_machine_without_the_new_key_does_not_seal(folder: Path) -> None:
    async with opened(folder) as rt:
        old = rt.audit_key.pem()
        await rotated(rt)
    for name in ("audit.key", "audit.pub"):
        (folder / name).unlink()
    (folder / "audit.key").write_bytes(old)
    (folder / "audit.key").chmod(0o600)
    with pytest.raises(Exception, match="is not the audit key of"):
        async with opened(folder):
            pass


async def _rotate(folder: Path) -> None:
    async with opened(folder) as rt:
        await rotated(rt)


async def test_a_rotation_that_is_killed_at_any_point_goes_on(folder: Path) -> None:
    pinned = load_public_key(folder / "audit.pub")
    points, made = 0, set()
    while True:
        points += 1
        assert points < 80
        attempt = folder.parent / f"attempt-{points}" / "data"
        shutil.copytree(folder, attempt)
        await run_killed(partial(_rotate, attempt), points, POINTS)
        async with opened(attempt) as rt:
            over = rt.audit_key.public != pinned and not rt.audit_keys.is_unfinished
            await sealed(rt, 1)
            assert (await exported(rt, pinned)).findings == ()
            if not over:
                await rotated(rt)
            await sealed(rt, 1)
            report = await exported(rt, pinned)
            assert (report.status, report.findings) == ("intact", ())
            assert len([note for note in report.notes if "changes the audit key" in note]) == 1
            assert rt.audit_key.public == load_public_key(attempt / "audit.pub") != pinned
            made.add(rt.audit_key.public)
            assert not list(attempt.glob("audit.*.key"))
        if over and points > 15:
            break
    assert points > 15


async def test_the_retired_key_is_overwritten_before_it_is_removed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[bytes] = []
    unlink = Path.unlink

    def seen(self: Path, *, missing_ok: bool = False) -> None:
        if self.name == "audit.retired.key":
            left.append(self.read_bytes())
        unlink(self, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", seen)
    async with opened(folder) as rt:
        old = rt.audit_key.pem()
        await rotated(rt)
    [content] = left
    assert len(content) == len(old)
    assert b"PRIVATE" not in content


async def test_a_backup_from_before_the_rotation_goes_on_under_the_new_key(folder: Path) -> None:
    head = folder.parent / "head"
    async with opened(folder) as rt:
        pinned = rt.audit_key.public
        await make_backup(rt, folder.parent / "backup", None)
        await sealed(rt, 1)
        await rotated(rt)
        await rotated(rt)
        await sealed(rt, 1)
        await SinkStream(rt).deliver()
        head.write_bytes((await heads.load_head(rt)).line())
    await restore_backup(settings_of(folder), folder.parent / "backup", replace=True)
    async with opened(folder) as rt:
        await sealed(rt, 2)
        await SinkStream(rt).deliver()
        for key in (pinned, rt.audit_key.public):
            report = await exported(rt, key)
            assert (report.status, report.findings) == ("intact", ())
            for kept in ({"sink": folder.parent / "sink.jsonl"}, {"head": load_kept_head(head)}):
                report = await exported(rt, key, **kept)
                assert report.status == "restored", report.findings
                assert (await exported(rt, key, restore_is_known=True, **kept)).status == "intact"
        assert len(load_key_changes(folder / "audit.keys")) == 2
        await rotated(rt)
        assert (await exported(rt, pinned)).status == "intact"


async def test_a_trail_that_is_broken_is_not_handed_over(folder: Path) -> None:
    async with opened(folder) as rt:
        await seal_pending(rt)
        await tamper(rt, "DELETE FROM audit_batches WHERE number = 2")
        with pytest.raises(BrokenTrail):
            await rotated(rt)
    assert load_signing_key(folder / "audit.key").public == rt.audit_key.public
