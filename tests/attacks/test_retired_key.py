"""Who stole the retired keys and writes to the database forges nothing that a sink does not name."""

from __future__ import annotations

import contextlib
import random
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.audit.anchor import BrokenTrail
from orchestrator.audit.export import write_export
from orchestrator.audit.keys.change import sign_key_change
from orchestrator.audit.sealer import seal_pending
from orchestrator.audit.sinks.stream import SinkStream
from orchestrator.audit.transparency.heads import load_head
from orchestrator.audit.transparency.tree_head import TreeHead
from orchestrator.audit.verify.check import Kept, Report, verify
from orchestrator.crypto.keys import load_ring
from orchestrator.crypto.mac import Authenticator
from orchestrator.crypto.signing import PublicKey, SigningKey
from orchestrator.domain.audit_event import EventKind
from orchestrator.installation.identity import establish_identity
from orchestrator.key_rotation.audit_key import rotate_audit_key
from orchestrator.key_rotation.rotate import rotate
from orchestrator.key_rotation.step import RotationStep
from orchestrator.runtime import Runtime, open_runtime
from orchestrator.store.queries import audit
from tests.attacks.tampering import Owner
from tests.audit.test_anchor import sealed, write
from tests.audit.test_sinks import with_sinks
from tests.harness.databases import START

pytestmark = pytest.mark.attack(
    "forge a batch, an event or a change of the audit key with the stolen, retired keys",
    before="the audit key was never changed, so that a stolen one stayed good",
)


class Stage:
    """A trail whose keys were rotated after a thief had copied them."""

    def __init__(self, rt: Runtime, folder: Path, stolen: SigningKey, macs: Authenticator) -> None:
        self.rt, self.folder, self.stolen, self.macs = rt, folder, stolen, macs
        self.sink = folder / "sink.jsonl"
        self.change = self.change_seq = 0
        self.head: TreeHead | None = None

    @contextlib.contextmanager
    def thief(self) -> Iterator[Owner]:
        """Write to the database, with the retired keys."""
        path = self.rt.settings.data_dir / "tocsin.db"
        with contextlib.closing(sqlite3.connect(path)) as db, db:
            owner = Owner(db, self.macs, self.stolen, random.Random(7))
            owner.disarm()
            yield owner

    async def report(
        self, key: SigningKey | None = None, earlier: list[PublicKey] | None = None, **kept: object
    ) -> Report:
        """Verify an export that the thief made, with the key that an auditor pinned at the start."""
        path = self.folder / "t.jsonl"
        async with self.rt.store.read() as session:
            newest = await audit.newest_batch(session)
            assert newest is not None
            await write_export(
                path,
                audit.sealed_rows(session, newest.number),
                key=key or self.rt.audit_key,
                earlier=[self.stolen.public] if earlier is None else earlier,
                environment="test",
                now=START,
            )
        return verify(path, self.stolen.public, Kept(**kept))  # type: ignore[arg-type]


@pytest.fixture
async def stage(tmp_path: Path) -> Stage:
    async with with_sinks(tmp_path, f"file://{tmp_path}/sink.jsonl") as rt:
        await establish_identity(rt)
        stolen, settings = rt.audit_key, rt.settings
        shutil.copyfile(settings.encryption_key_path, tmp_path / "stolen.key")
        (tmp_path / "stolen.key").chmod(0o600)
        ring = load_ring(tmp_path / "stolen.key")
        assert ring is not None
        found = Stage(rt, tmp_path, stolen, Authenticator(ring.derive("audit-event")))
        await rotate(rt, RotationStep.ALL, lambda _: None, actor="t")
        done = await rotate_audit_key(rt, RotationStep.ALL, lambda _: None, actor="t")
        found.change = done.batch or 0
        await sealed(rt, 2)
        await SinkStream(rt).deliver()
        found.head = await load_head(rt)
        async with rt.store.read() as session:
            batch = await audit.batch(session, found.change)
            assert batch is not None
            found.change_seq = batch.first_seq
        assert (await found.report(sink=found.sink)).status == "intact"
    found.rt = open_runtime(settings, clock=lambda: START)
    return found


async def refuses(rt: Runtime, message: str) -> None:
    """The live sealer stops."""
    await write(rt, "run_next")
    with pytest.raises(BrokenTrail, match=message):
        await seal_pending(rt)


async def test_a_batch_of_the_retired_key_after_the_change_is_named(stage: Stage) -> None:
    with stage.thief() as thief:
        last = thief.last_seq()
        newest = thief.batch_of(last)
        thief.put(thief.number_at(last), thief.forge())
        thief.seal_again(last)
    named = f"batch {newest}"
    report = await stage.report(sink=stage.sink)
    forged = f"retired after batch {stage.change}: forged with the retired key"
    assert any(named in each and forged in each for each in report.findings)
    assert any(each.startswith(f"event {last} ") for each in report.findings)
    await refuses(stage.rt, f"{named} of the audit trail has the digest")
    stage.rt.settings.audit_anchor_path.unlink()
    await refuses(stage.rt, f"{named} of the audit trail is not signed.*retired after batch")


async def test_a_batch_of_the_retired_key_at_the_end_is_named(stage: Stage) -> None:
    with stage.thief() as thief:
        newest = thief.batch_of(thief.last_seq())
        thief.append([thief.insert_event()])
    report = await stage.report(sink=stage.sink)
    assert any(
        f"batch {newest + 1} " in each and "forged with the retired key" in each
        for each in report.findings
    )
    await refuses(stage.rt, f"batch {newest + 1} .*retired after batch {stage.change}")


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM audit_batches WHERE number = ?",
        "UPDATE audit_batches SET record = json_set(record, '$.sealed_at', 'x') WHERE number = ?",
    ],
)
async def test_a_change_that_was_removed_is_named(stage: Stage, statement: str) -> None:
    with stage.thief() as thief:
        thief.db.execute(statement, (stage.change,))
    report = await stage.report(sink=stage.sink)
    found = [each for each in report.findings if f"batch {stage.change} " in each]
    assert found, report.findings
    assert any("the change of the audit key to" in each for each in report.findings)
    assert len(report.findings) <= 4, "what follows is checked with the next key"
    await refuses(stage.rt, "batch|audit key")


async def test_a_place_that_points_at_a_forged_event_is_named(stage: Stage) -> None:
    with stage.thief() as thief:
        seq, number = 2, thief.insert_event()
        thief.db.execute("UPDATE audit_seals SET event_number = ? WHERE seq = ?", (number, seq))
    report = await stage.report(sink=stage.sink)
    assert any(each.startswith(f"event {seq} ") for each in report.findings)
    assert report.status == "altered"


@pytest.mark.parametrize("how", ["another key", "no change"])
async def test_another_end_of_the_retired_key_is_named(stage: Stage, how: str) -> None:
    """The thief hands the trail to his own key, or goes on as if it had never been handed over."""
    own = SigningKey.new()
    keys = [stage.stolen.public] if how == "another key" else []
    with stage.thief() as thief:
        place = thief.number_at(stage.change_seq)
        row = thief.forge()
        if how == "another key":
            data = sign_key_change(stage.stolen, own, thief.event(place).record["subject"])
            row = thief.forge(kind=EventKind.AUDIT_KEY_CHANGED, data=data.model_dump())
            thief.keys = {stage.change: stage.stolen}
            thief.key = own
        thief.put(place, row)
        thief.seal_again(stage.change_seq)
        signer = own if how == "another key" else stage.stolen
        thief.db.execute("UPDATE installation SET audit_key = ?", (signer.public.hex,))
    for kept in ({"sink": stage.sink}, {"head": stage.head}):
        report = await stage.report(signer, keys, **kept)
        assert report.status == "altered"
        assert any("batch" in each and "rewritten" in each for each in report.findings), report
    with pytest.raises(BrokenTrail, match="another key than that of this machine"):
        await seal_pending(stage.rt)
    with stage.thief() as thief:
        true = stage.rt.audit_key.public.hex
        thief.db.execute("UPDATE installation SET audit_key = ?", (true,))
    stage.rt.settings.audit_anchor_path.unlink()
    with pytest.raises(BrokenTrail, match=r"batch|goes on with key"):
        await seal_pending(stage.rt)


async def test_a_change_that_waits_to_be_sealed_is_never_sealed(stage: Stage) -> None:
    """Not even with a valid MAC: a rotation seals its own change at once."""
    ring = load_ring(stage.rt.settings.encryption_key_path)
    assert ring is not None
    with stage.thief() as thief:
        thief.macs = Authenticator(ring.derive("audit-event"))
        change = sign_key_change(stage.stolen, SigningKey.new(), "installation")
        thief.insert_event(kind=EventKind.AUDIT_KEY_CHANGED, data=change.model_dump())
    await write(stage.rt, "run_next")
    await seal_pending(stage.rt)
    async with stage.rt.store.read() as session:
        total, _ = await audit.quarantined(session, 5, None)
    assert total == 1
    assert (await stage.report(sink=stage.sink)).status == "intact"
