"""The anchor outside the database: a cut, rewritten or re-sealed past is refused, and a crash heals."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest
from sqlalchemy import text

from orchestrator.audit import trail
from orchestrator.audit.anchor import Anchor, BrokenTrail
from orchestrator.audit.seal import number_stored, seal
from orchestrator.audit.sealer import export_trail, seal_pending
from orchestrator.audit.verify.check import verify
from orchestrator.crypto.signing import SigningKey
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import TocsinError
from orchestrator.runtime import Runtime
from orchestrator.store.queries import audit
from tests.harness.databases import START, NewDatabase, opened

GUARDED = ("audit_events", "audit_seals", "audit_batches")


async def write(rt: Runtime, *subjects: str) -> None:
    async with rt.store.write() as session:
        for subject in subjects:
            await trail.record(
                session,
                EventKind.RUN_CREATED,
                actor="system",
                subject=subject,
                data={"n": subject},
                now=START,
            )


async def sealed(rt: Runtime, batches: int) -> None:
    for number in range(batches):
        await write(rt, f"run_{number}", f"run_{number}b")
        await seal_pending(rt)


async def tamper(rt: Runtime, *statements: str) -> None:
    """Change the database as its owner, without the triggers."""
    async with rt.store.write() as session:
        for table in GUARDED:
            for operation in ("update", "delete"):
                await session.execute(text(f"DROP TRIGGER IF EXISTS {table}_no_{operation}"))
        for statement in statements:
            await session.execute(text(statement))


async def test_anchor_is_private_and_has_one_line_per_batch(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as [rt]:
        await sealed(rt, 3)
        path = rt.settings.audit_anchor_path
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert len(path.read_bytes().splitlines()) == 3
        found = Anchor(path, rt.audit_key).load()
        assert found is not None
        assert (found.batch, found.last_seq) == (3, 6)


@pytest.mark.attack(
    "cut or rewrite the newest batches", before="`audit verify --public-key` says intact"
)
@pytest.mark.parametrize(
    ("statements", "says"),
    [
        (["DELETE FROM audit_batches WHERE number = 3"], "ends with batch 2.*remembers batch 3"),
        (["DELETE FROM audit_batches", "DELETE FROM audit_seals"], "ends with no batch"),
        (
            ["DELETE FROM audit_batches WHERE number > 1", "DELETE FROM audit_seals WHERE seq > 2"],
            "ends with batch 1",
        ),
        (["DELETE FROM audit_seals WHERE seq = 5"], "the places of 1: rows were removed"),
        (["UPDATE audit_batches SET record = '{}' WHERE number = 3"], "altered in the store"),
        (["UPDATE audit_batches SET record = 'x' WHERE number = 3"], "altered in the store"),
        (
            [
                (
                    "UPDATE audit_batches SET record = json_set(record, '$.sealed_at', 'x') "
                    "WHERE number = 3"
                )
            ],
            "batch 3 .*the trail was rewritten",
        ),
    ],
)
async def test_cut_or_rewritten_end_is_refused_although_nothing_is_pending(
    tmp_path: Path, statements: list[str], says: str
) -> None:
    async with opened(tmp_path, None) as [rt]:
        await sealed(rt, 3)
        await tamper(rt, *statements)
        with pytest.raises(BrokenTrail, match=says):
            await seal_pending(rt)
        with pytest.raises(BrokenTrail, match=says):
            await export_trail(rt, tmp_path / "t.jsonl")
        assert not rt.settings.audit_head_path.exists()


@pytest.mark.attack(
    "delete all batches and seal rewritten events again with the true key",
    before="the live worker goes on, and `audit verify` says intact",
)
async def test_past_that_was_sealed_again_with_the_true_key_is_refused(tmp_path: Path) -> None:
    """The thief of the key writes a trail that verifies, but that is not the remembered one."""
    async with opened(tmp_path, None) as [rt]:
        await sealed(rt, 3)
        await tamper(rt, "DELETE FROM audit_batches", "DELETE FROM audit_seals")
        async with rt.store.write() as session:
            events = await audit.unsealed(session, everywhere=True)
            previous = None
            for part in (events[:1], events[1:3], events[3:]):
                entries = number_stored(part, previous)
                previous = seal(entries, previous, rt.audit_key, START)
                numbers = [event.number for event in part]
                await audit.add_batch(session, numbers, entries, previous)
        with pytest.raises(BrokenTrail, match=r"batch 3 .*has the digest.*remembers.*rewritten"):
            await seal_pending(rt)


@pytest.mark.attack(
    "remove the place of a sealed event, so that it is sealed again",
    before="the event was sealed under a second number",
)
async def test_event_whose_place_was_removed_is_not_sealed_twice(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as [rt]:
        await sealed(rt, 3)
        await tamper(rt, "DELETE FROM audit_seals WHERE seq = 1")
        await write(rt, "next")
        with pytest.raises(BrokenTrail, match=r"event 1 \(.*\) was sealed as event 1 by batch 1"):
            await export_trail(rt, tmp_path / "t.jsonl")


async def test_crash_between_commit_and_anchor_is_healed(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as [rt]:
        await sealed(rt, 2)
        path = rt.settings.audit_anchor_path
        before = path.read_bytes()
        await sealed(rt, 1)
        whole = path.read_bytes()
        for remains in (before, before + whole[len(before) : -9], b"", whole[:40]):
            path.write_bytes(remains)
            await seal_pending(rt)
            assert path.read_bytes().splitlines()[-1] == whole.splitlines()[-1]
        path.unlink()
        await seal_pending(rt)
        assert path.read_bytes().splitlines()[-1] == whole.splitlines()[-1]


async def test_anchor_does_not_follow_batches_that_another_key_signed(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as [rt]:
        await sealed(rt, 1)
        await write(rt, "forged")
        async with rt.store.write() as session:
            previous = await audit.newest_batch(session)
            entries = number_stored(await audit.unsealed(session), previous)
            forged = seal(entries, previous, SigningKey.new(), START)
            await audit.add_batch(session, [3], entries, forged)
        with pytest.raises(BrokenTrail, match=r"batch 2 .*is not signed by key"):
            await seal_pending(rt)


async def test_altered_anchor_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as [rt]:
        await sealed(rt, 2)
        path = rt.settings.audit_anchor_path
        path.write_bytes(path.read_bytes().replace(b'"batch":2', b'"batch":1'))
        with pytest.raises(BrokenTrail, match=r"audit\.anchor: its last line is no checkpoint"):
            await seal_pending(rt)


async def test_places_without_their_batch_are_refused(tmp_path: Path) -> None:
    """The anchor was removed as well, so that only the table of places is left to contradict."""
    async with opened(tmp_path, None) as [rt]:
        await sealed(rt, 3)
        await tamper(rt, "DELETE FROM audit_batches WHERE number = 3")
        rt.settings.audit_anchor_path.unlink()
        await write(rt, "next")
        with pytest.raises(BrokenTrail, match=r"event 6 has a place .* ends with event 4"):
            await seal_pending(rt)
        await tamper(rt, "DELETE FROM audit_batches")
        with pytest.raises(BrokenTrail, match=r"event 6 has a place .* ends with event 0"):
            await seal_pending(rt)


async def test_anchor_is_shortened_and_stays_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.audit.anchor._MAX_BYTES", 800)
    monkeypatch.setattr("orchestrator.audit.anchor.KEPT_LINES", 2)
    async with opened(tmp_path, None) as [rt]:
        await sealed(rt, 6)
        path = rt.settings.audit_anchor_path
        assert len(path.read_bytes().splitlines()) <= 4
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        found = Anchor(path, rt.audit_key).load()
        assert found is not None
        assert found.batch == 6


async def test_workers_with_their_own_data_directories_do_not_cry_wolf(
    tmp_path: Path, postgresql_server: NewDatabase
) -> None:
    """Each seals by turns; the anchor that is behind catches up over the signed batches."""
    url = postgresql_server()
    async with opened(tmp_path / "a", url) as [one]:
        other_data = tmp_path / "b" / "data"
        shutil.copytree(one.settings.data_dir, other_data)
        async with opened(tmp_path / "b", url) as [two]:
            for rt in (one, two, two, one, two):
                await sealed(rt, 1)
            await seal_pending(one)
            anchors = [each.settings.audit_anchor_path.read_bytes() for each in (one, two)]
            assert anchors[0].splitlines()[-1] == anchors[1].splitlines()[-1]
            await export_trail(two, tmp_path / "t.jsonl")
            assert verify(tmp_path / "t.jsonl", one.audit_key.public).status == "intact"


@pytest.mark.attack(
    "cut the newest batches, and have the next export replace audit.head",
    before="audit.head was overwritten with the shorter head",
)
async def test_export_does_not_replace_the_head_of_a_longer_trail(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as [rt]:
        await sealed(rt, 3)
        await export_trail(rt, tmp_path / "t.jsonl")
        head = rt.settings.audit_head_path.read_bytes()
        await tamper(
            rt,
            "DELETE FROM audit_batches WHERE number = 3",
            "DELETE FROM audit_seals WHERE seq > 4",
            "DELETE FROM audit_events WHERE number > 4",
        )
        rt.settings.audit_anchor_path.unlink()
        with pytest.raises(TocsinError, match=r"audit\.head remembers batch 3"):
            await export_trail(rt, tmp_path / "t.jsonl")
        assert rt.settings.audit_head_path.read_bytes() == head
