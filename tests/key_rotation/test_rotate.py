"""Rotation of the encryption key: under load, cut off at any point, and with forged rows."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import LargeBinary, select, text
from sqlmodel import SQLModel

from connectors.lab import lab_settings
from connectors.sdk.transport import Access
from orchestrator import first_start
from orchestrator.access import idempotency
from orchestrator.access.idempotency import KeptAnswer
from orchestrator.approvals.decision_input import reseal_answers, seal_answers
from orchestrator.audit.sealer import export_trail, seal_pending
from orchestrator.audit.trail import record
from orchestrator.audit.verify.check import verify
from orchestrator.connections import manage as connections
from orchestrator.connections.credentials import open_credentials
from orchestrator.crypto import private_file
from orchestrator.crypto.keys import KeyRing, KeyUse, load_ring
from orchestrator.crypto.mac import Authenticator
from orchestrator.domain.approval import DecisionType
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict, Invalid, NotFound
from orchestrator.installation.identity import bound_key, establish_identity
from orchestrator.installation.open import open_existing, open_first
from orchestrator.intake import sources
from orchestrator.intake.authenticate import Scheme
from orchestrator.key_rotation.ring_file import RingFile
from orchestrator.key_rotation.rotate import drop, rotate
from orchestrator.key_rotation.sealed import CIPHERTEXTS, TABLES, keys_in_use
from orchestrator.key_rotation.step import RotationStep
from orchestrator.playbook.plan import Wait
from orchestrator.runtime import Runtime
from orchestrator.settings import Settings
from orchestrator.store.audit_events import select_events
from orchestrator.store.authentic import UNSEALED, RowRefused, list_refused, seal
from orchestrator.store.precondition import ANY_STATE
from orchestrator.store.session import Store
from orchestrator.store.statements.sealed import newest_policy
from orchestrator.store.tables import (
    AuditEventRow,
    ConnectionRow,
    DecisionRow,
    InstallationRow,
    KeyRow,
    PolicyRow,
    SourceRow,
)
from orchestrator.store.tables.installation import SLOT
from tests.harness.killed_process import run_killed
from tests.harness.temporal_rig import on_temporal, start_plan, until_step

POINTS = ((private_file, "sync_folder"), (Path, "replace"))
"""Calls before which a rotation is killed."""
FORM = {
    "code": {"type": "secret", "label": "Code"},
    "why": {"type": "text", "label": "Why"},
}


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Runtime]:
    rt = await open_existing(Settings(data_dir=folder))
    try:
        yield rt
    finally:
        await rt.close()


async def prepare(folder: Path) -> None:
    """Make an installation that has something of what keys seal."""
    rt = await open_first(Settings(data_dir=folder))
    await first_start.prepare(rt, None)
    lab = lab_settings("http://127.0.0.1:9")
    await connections.save_connection(
        rt, "firewall", "palo_alto", lab["palo_alto"], actor="t", check=False
    )
    await sources.add_source(
        rt,
        "edge",
        "crowdsec",
        Scheme.BEARER,
        secret=SecretStr("s" * 40),
        options={},
        mapping=None,
        correlate_by="remote",
        correlate_within=timedelta(hours=1),
        actor="t",
    )
    await sources.rotate_secret(
        rt,
        "edge",
        secret=SecretStr("n" * 40),
        overlap=timedelta(days=1),
        replaces=ANY_STATE,
        actor="t",
    )
    async with rt.store.write() as session:
        form = seal_answers(rt.secrets, "apr_1", FORM, {"code": "hunter2", "why": "needed"})
        session.add(
            DecisionRow(
                approval_id="apr_1",
                person="ann",
                key_id="k",
                decision=DecisionType.APPROVE,
                form=form,
                at=rt.clock(),
            )
        )
    await idempotency.reserve(rt, "ann", "k", "d")
    await idempotency.keep(rt, "ann", "k", KeptAnswer.of(200, {}, b"done"))
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


def ring_of(folder: Path) -> Any:
    ring = load_ring(folder / "encryption.key")
    assert ring is not None
    return ring


async def assert_whole(folder: Path, old: str) -> None:
    """Everything opens, and nothing but the new key is needed."""
    newest = ring_of(folder).newest.id
    assert newest != old
    assert ring_of(folder).get(old).use is KeyUse.RETIRED
    async with opened(folder) as rt:
        assert set(await keys_in_use(rt)) == {newest}
        async with rt.store.read() as session:
            assert await list_refused(session) == []
    file = RingFile(Settings(data_dir=folder))
    file.drop(old)
    async with opened(folder) as rt:
        async with rt.store.read() as session:
            (connection,) = await session.scalars(select(ConnectionRow))
            (source,) = await session.scalars(select(SourceRow))
            (decision,) = await session.scalars(select(DecisionRow))
        found = open_credentials(
            rt.secrets,
            connection.name,
            connection.connector,
            connection.settings,
            connection.secrets,
            Access.WRITE,
        )
        assert found
        secrets = [each.get_secret_value() for each in sources.open_secrets(rt, source, rt.clock())]
        assert secrets == ["n" * 40, "s" * 40]
        assert reseal_answers(rt.secrets, "apr_1", decision.form)["why"] == "needed"
        kept = await idempotency.reserve(rt, "ann", "k", "d")
        assert kept is not None
        assert kept.content == b"done"


async def test_everything_is_sealed_by_the_new_key_and_the_old_one_is_not_needed(
    folder: Path, tmp_path: Path
) -> None:
    old, said = ring_of(folder).newest.id, []
    async with opened(folder) as rt:
        done = await rotate(rt, RotationStep.ALL, said.append, actor="person:ann")
        assert done.retired == (old,)
        assert done.refused == 0
        assert any("api_keys" in line for line in said)
        kinds = [event.kind for event in await events(rt)]
        assert EventKind.ENCRYPTION_KEY_ADDED in kinds
        assert EventKind.ENCRYPTION_KEY_ROTATED in kinds
        await export_trail(rt, tmp_path / "t.jsonl")
        assert verify(tmp_path / "t.jsonl", rt.audit_key.public).status == "intact"
    await assert_whole(folder, old)


async def events(rt: Runtime) -> list[AuditEventRow]:
    async with rt.store.read() as session:
        return list(await session.scalars(select(AuditEventRow)))


async def test_running_processes_follow_the_rotation(folder: Path) -> None:
    old = ring_of(folder).newest.id
    async with opened(folder) as api, opened(folder) as worker, opened(folder) as command:
        sealed = api.payloads.seal(b"before", b"place")
        stop = asyncio.Event()

        async def write() -> int:
            written = 0
            while not stop.is_set():
                await _add_key(api, written)
                written += 1
                await asyncio.sleep(0)
            return written

        writing = asyncio.create_task(write())
        await rotate(command, RotationStep.ALL, lambda _: None, actor="t")
        stop.set()
        assert await writing > 0
        async with worker.store.read() as session:
            assert await list_refused(session) == []
        assert worker.secrets.newest_key_id != old
        assert worker.payloads.open(sealed, b"place") == b"before", "runs from before go on"
    await assert_whole(folder, old)


async def _add_key(rt: Runtime, number: int) -> None:
    async with rt.store.write() as session:
        session.add(await _key_row(rt, session, f"k{number}"))


async def _key_row(rt: Runtime, session: Any, id_: str) -> KeyRow:
    (person,) = await session.scalars(select(KeyRow.person).limit(1))
    return KeyRow(
        id=id_,
        person=person,
        hash=id_.rjust(64, "0"),
        roles=["admin"],
        created_by="t",
        created_at=rt.clock(),
    )


async def test_a_second_rotation_is_another_one_and_a_repeated_step_is_none(folder: Path) -> None:
    async with opened(folder) as rt:
        first = await rotate(rt, RotationStep.ALL, lambda _: None, actor="t")
        second = await rotate(rt, RotationStep.ALL, lambda _: None, actor="t")
        assert second.key != first.key
        assert set(second.retired) >= {first.key}
        added = await rotate(rt, RotationStep.ADD, lambda _: None, actor="t")
        assert (await rotate(rt, RotationStep.ADD, lambda _: None, actor="t")).key == added.key
        with pytest.raises(Conflict, match="--step use"):
            await rotate(rt, RotationStep.FINISH, lambda _: None, actor="t")
        used = await rotate(rt, RotationStep.USE, lambda _: None, actor="t")
        assert used.retired == ()
        assert (await rotate(rt, RotationStep.FINISH, lambda _: None, actor="t")).key == added.key
        with pytest.raises(Conflict, match="no rotation has begun"):
            await rotate(rt, RotationStep.FINISH, lambda _: None, actor="t")


async def _rotate(folder: Path) -> None:
    async with opened(folder) as rt:
        await rotate(rt, RotationStep.ALL, lambda _: None, actor="t")


async def _is_over(folder: Path, old: str) -> bool:
    async with opened(folder) as rt, rt.store.read() as session:
        identity = await session.get(InstallationRow, SLOT)
        assert identity is not None
        return bound_key(rt, identity) == ring_of(folder).newest.id != old


async def test_a_rotation_that_is_killed_again_and_again_goes_on(folder: Path) -> None:
    old, point = ring_of(folder).newest.id, 0
    while not await _is_over(folder, old):
        point += 1
        assert point < 60
        await run_killed(lambda: _rotate(folder), point, POINTS)
        assert len(ring_of(folder).ids) <= 2, "no key is made twice"
    assert point > 10
    await assert_whole(folder, old)


@pytest.mark.attack(
    "who writes to the database forges a row, and waits for a rotation to seal it",
    before="a rotation was made by hand, and nothing was sealed again",
)
async def test_a_rotation_does_not_seal_a_forged_row(folder: Path) -> None:
    async with opened(folder) as rt:
        async with rt.store.write() as session:
            await session.execute(text("UPDATE api_keys SET created_by = 'eve'"))
            await session.execute(
                text(
                    "INSERT INTO audit_events (id, kind, time, actor, subject, data, mac) "
                    "VALUES ('evt_x', 'run:ended', '', 'eve', 'r', '{}', '1:forged:00')"
                )
            )
        done = await rotate(rt, RotationStep.ALL, lambda _: None, actor="t")
        assert done.refused == 1
        async with rt.store.read() as session:
            assert list(await session.scalars(select(KeyRow))) == []


@pytest.mark.attack(
    "a thief of the old encryption key, who writes to the database, adds a key and an event",
    before="every key of the ring made valid tags, and none was taken out",
)
async def test_the_old_key_makes_no_row_and_no_event_after_a_rotation(folder: Path) -> None:
    # As of now: a copy does not follow the file.
    stolen = Authenticator(KeyRing(ring_of(folder).derive("row").keys))
    stolen_events = Authenticator(KeyRing(ring_of(folder).derive("audit-event").keys))
    async with opened(folder) as rt:
        await rotate(rt, RotationStep.ALL, lambda _: None, actor="t")
        async with rt.store.read() as session:
            row = await _key_row(rt, session, "eve")
        seal(row, stolen)
        thief = Store(rt.settings.store_url, stolen, events=stolen_events)
        async with thief.write() as session:
            session.add(row)
            await record(
                session, EventKind.RUN_ENDED, actor="eve", subject="r", data={}, now=rt.clock()
            )
        await thief.close()
        await seal_pending(rt, everywhere=True)
        async with rt.store.read() as session:
            assert "api_keys eve" in await list_refused(session)
            quarantined = await session.execute(text("SELECT count(*) FROM audit_quarantine"))
            assert quarantined.scalar() == 1


async def test_an_event_from_before_is_still_the_same_event_when_its_activity_is_retried(
    folder: Path,
) -> None:
    async with opened(folder) as rt:

        async def intend() -> None:
            async with rt.store.write() as session:
                await record(
                    session,
                    EventKind.STEP_INTENDED,
                    actor="run:r",
                    subject="r",
                    data={"a": 1},
                    now=rt.clock(),
                    event_id="e1",
                )

        await intend()
        await rotate(rt, RotationStep.ALL, lambda _: None, actor="t")
        await intend()
        async with rt.store.read() as session:
            found = await select_events(session, AuditEventRow.subject == "r")
        assert [event.record["data"] for event in found] == [{"a": 1}]


def test_every_ciphertext_and_every_tag_of_the_database_is_rotated() -> None:
    clear = {("alerts", "raw"), ("installation", "key_check")}
    binary = {
        (table.name, column.name)
        for table in SQLModel.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, LargeBinary)
    }
    known = {(str(each.table.__tablename__), each.column) for each in CIPHERTEXTS}
    text = {("approval_decisions", "form")}  # with ciphertexts in it
    assert (binary - clear) | text == known, (
        "name new ciphertexts in orchestrator/key_rotation/sealed.py"
    )
    tagged = {
        table.name for table in SQLModel.metadata.tables.values() if "mac" in table.columns
    } - {"audit_events"}  # appended only: retired keys count for those that are sealed
    assert tagged <= {str(each.__tablename__) for each in TABLES}
    assert set(UNSEALED) <= set(TABLES)


async def test_keys_in_the_environment_are_left_to_who_set_them(folder: Path) -> None:
    given = (folder / "encryption.key").read_text().strip()
    rt = await open_existing(Settings(data_dir=folder, encryption_key=SecretStr(given)))
    with pytest.raises(Invalid, match="TOCSIN_ENCRYPTION_KEY"):
        await rotate(rt, RotationStep.ALL, lambda _: None, actor="t")
    await rt.close()


async def test_a_retired_key_is_dropped_once_no_workflow_from_before_runs(tmp_path: Path) -> None:
    async with on_temporal(tmp_path) as (made, client):
        rt, file = made.rt, RingFile(made.rt.settings)
        await establish_identity(rt)
        old = rt.secrets.newest_key_id
        await start_plan(made, client, Wait(id="pause", seconds=600))
        await until_step(made, "pause", lambda _: True)
        with pytest.raises(Conflict, match="not retired"):
            await drop(rt, client, old, actor="t")
        done = await rotate(rt, RotationStep.ALL, lambda _: None, actor="t")
        assert done.retired == (old,)
        assert done.refused == 0, "also of the rig's connections, whose secrets never opened"
        with pytest.raises(Conflict, match="1 workflows that began before"):
            await drop(rt, client, old, actor="t")
        handle = client.get_workflow_handle("run-run_s-1")
        await handle.terminate()
        async with asyncio.timeout(30):
            while (await client.count_workflows("ExecutionStatus='Running'")).count:
                await asyncio.sleep(0.05)
        await drop(rt, client, old, actor="t")
        assert file.ring.ids == (done.key,)
        with pytest.raises(NotFound):
            await drop(rt, client, old, actor="t")


@pytest.mark.attack(
    "who writes to the database puts back a policy that the old key sealed, after a rotation",
    before="a worker that had read the policy did not verify it again",
)
async def test_a_row_of_the_old_key_is_refused_by_a_process_that_has_read_it(folder: Path) -> None:
    async with opened(folder) as rt:
        async with rt.store.write() as session:
            policy = PolicyRow(
                version=99,
                digest="d",
                document={},
                source="",
                published_at=rt.clock(),
                published_by="person:t",
            )
            session.add(policy)
        async with rt.store.read() as session:
            before = await newest_policy(session)
            assert before is not None
            old = before.mac
        await rotate(rt, RotationStep.ALL, lambda _: None, actor="t")
        async with rt.store.read() as session:
            assert await newest_policy(session) is not None
        async with rt.store.write() as session:
            await session.execute(
                text("UPDATE policies SET mac = :mac WHERE version = 99"), {"mac": old}
            )
        async with rt.store.read() as session:
            with pytest.raises(RowRefused):
                await newest_policy(session)
