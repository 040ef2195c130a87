"""Sinks get every sealed batch in order, at least once, and a required one stops changes."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
import ssl
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from orchestrator.audit.sealer import export_trail
from orchestrator.audit.sinks.requirement import missing_sink
from orchestrator.audit.sinks.stream import SinkStream
from orchestrator.audit.verify.check import Kept, verify
from orchestrator.domain.errors import Invalid, Unavailable
from orchestrator.incidents.sink_alarm import report_sinks
from orchestrator.incidents.tasks import list_tasks
from orchestrator.runtime import Runtime, open_runtime
from orchestrator.settings import Settings
from orchestrator.store.tables import AuditSinkRow
from tests.audit.test_anchor import sealed, tamper
from tests.harness.certificates import certificate_for
from tests.harness.databases import START, migrate_quickly

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


@asynccontextmanager
async def with_sinks(folder: Path, *sinks: str, **settings: object) -> AsyncIterator[Runtime]:
    """Open a runtime with sinks and three sealed batches."""
    loaded = Settings.load(data_dir=folder / "data", audit_sinks=sinks, **settings)
    rt = open_runtime(loaded, clock=lambda: START)
    await migrate_quickly(rt)
    try:
        await sealed(rt, 3)
        yield rt
    finally:
        await rt.close()


async def position(rt: Runtime) -> AuditSinkRow:
    async with rt.store.read() as session:
        return (await session.scalars(select(AuditSinkRow))).one()


def batches(content: bytes) -> list[int]:
    """Return the numbers of the batches in the lines of a sink."""
    lines = [json.loads(line) for line in content.splitlines() if line]
    return [line["batch"]["number"] for line in lines if "batch" in line]


async def test_file_has_each_batch_with_its_events_and_is_private(tmp_path: Path) -> None:
    file = tmp_path / "sink.jsonl"
    async with with_sinks(tmp_path, f"file://{file}") as rt:
        stream = SinkStream(rt)
        for _ in range(3):
            await stream.deliver()
        assert batches(file.read_bytes()) == [1, 2, 3]
        assert file.read_bytes().count(b'"event":') == 6
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        await sealed(rt, 1)
        await SinkStream(rt).deliver()  # another process: the claim of the first has ended
        assert batches(file.read_bytes()) == [1, 2, 3, 4]
        await export_trail(rt, tmp_path / "t.jsonl")
        kept = Kept(sink=file, anchor=rt.settings.audit_anchor_path)
        assert verify(tmp_path / "t.jsonl", rt.audit_key.public, kept).status == "intact"


async def test_write_that_was_cut_off_is_repeated(tmp_path: Path) -> None:
    file = tmp_path / "sink.jsonl"
    async with with_sinks(tmp_path, f"file://{file}") as rt:
        await SinkStream(rt).deliver()
        whole = file.read_bytes()
        async with rt.store.write() as session:
            await session.delete(await session.merge(await position(rt)))
        file.write_bytes(whole[: whole.rindex(b'{"batch"') + 30])
        await SinkStream(rt).deliver()
        await export_trail(rt, tmp_path / "t.jsonl")
        report = verify(tmp_path / "t.jsonl", rt.audit_key.public, Kept(sink=file))
        assert report.status == "intact"
        assert file.read_bytes().splitlines()[-1] == whole.splitlines()[-1]


async def test_sink_that_others_can_read_or_that_is_a_link_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "sink.jsonl"
    async with with_sinks(tmp_path, f"file://{file}") as rt:
        file.touch(mode=0o644)
        await SinkStream(rt).deliver()
        assert "is not a file of mode 600" in str((await position(rt)).error)
        file.unlink()
        file.symlink_to(tmp_path / "elsewhere")
        await SinkStream(rt).deliver()
        assert "cannot be appended to" in str((await position(rt)).error)
        assert not (tmp_path / "elsewhere").exists()


async def test_rewritten_trail_is_not_delivered_over_what_a_sink_has(tmp_path: Path) -> None:
    file = tmp_path / "sink.jsonl"
    async with with_sinks(tmp_path, f"file://{file}") as rt:
        await SinkStream(rt).deliver()
        before = file.read_bytes()
        await tamper(
            rt,
            "DELETE FROM audit_batches WHERE number > 1",
            "DELETE FROM audit_seals WHERE seq > 2",
        )
        rt.settings.audit_anchor_path.unlink()
        await sealed(rt, 1)
        await SinkStream(rt).deliver()
        assert file.read_bytes() == before
        assert "rows were removed" in str((await position(rt)).error)
        async with rt.store.write() as session:  # the position is removed as well
            await session.delete(await session.merge(await position(rt)))
        await SinkStream(rt).deliver()
        assert file.read_bytes() == before
        assert "the trail was rewritten" in str((await position(rt)).error)


async def test_event_altered_before_its_delivery_is_not_delivered(tmp_path: Path) -> None:
    file = tmp_path / "sink.jsonl"
    async with with_sinks(tmp_path, f"file://{file}") as rt:
        await tamper(rt, "UPDATE audit_events SET subject = 'x' WHERE number = 3")
        await SinkStream(rt).deliver()
        assert not file.exists()
        assert "batch 2 of the audit trail was altered" in str((await position(rt)).error)


async def test_position_moved_by_hand_does_not_skip_a_batch(tmp_path: Path) -> None:
    file = tmp_path / "sink.jsonl"
    async with with_sinks(tmp_path, f"file://{file}") as rt:
        await SinkStream(rt).deliver()
        await sealed(rt, 2)
        await tamper(rt, "UPDATE audit_sinks SET batch = 4")
        await SinkStream(rt).deliver()
        assert batches(file.read_bytes()) == [1, 2, 3, 4, 5]


class Receiver:
    """A TLS server that keeps what it gets; as a web server, it answers with a status."""

    def __init__(self, folder: Path, status: int | None = None) -> None:
        self.files = certificate_for("127.0.0.1", folder)
        self.status = status
        self.received: list[bytes] = []
        self.closed = asyncio.Event()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(self.files.certificate, self.files.key)
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.status is None:
            self.received.append(await reader.read(-1))
        else:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            body = await reader.readexactly(int(length[1])) if length else b""
            self.received.append(head + body)
            writer.write(f"HTTP/1.1 {self.status} X\r\ncontent-length: 0\r\n\r\n".encode())
            await writer.drain()
        writer.close()
        self.closed.set()


def frames(stream: bytes) -> list[bytes]:
    """Split octet-counted syslog messages (RFC 5425)."""
    found = []
    while stream:
        length, _, rest = stream.partition(b" ")
        found.append(rest[: int(length)])
        stream = rest[int(length) :]
    return found


async def test_syslog_receives_one_message_per_line_over_tls(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path)
    async with (
        receiver.listening() as port,
        with_sinks(
            tmp_path,
            f"syslog+tls://127.0.0.1:{port}",
            audit_sinks_ca_file=receiver.files.certificate,
        ) as rt,
    ):
        await SinkStream(rt).deliver()
        await receiver.closed.wait()
        assert (await position(rt)).batch == 3
    messages = [message for stream in receiver.received for message in frames(stream)]
    form = re.compile(
        rb"<109>1 2026-03-04T05:06:07\.000000Z \S+ tocsin \d+ audit-(event|batch|checkpoint) - (.*)"
    )
    found = [form.fullmatch(message) for message in messages]
    assert all(found)
    kinds = [match[1] for match in found if match]
    assert sorted(kinds) == sorted([b"event"] * 6 + [b"batch"] * 3 + [b"checkpoint"] * 3)
    assert all(isinstance(json.loads(match[2]), dict) for match in found if match)


async def test_receiver_with_a_foreign_certificate_gets_nothing(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path)
    async with (
        receiver.listening() as port,
        with_sinks(tmp_path, f"syslog+tls://127.0.0.1:{port}") as rt,
    ):
        await SinkStream(rt).deliver()
        row = await position(rt)
        assert (row.batch, row.acknowledged_at) == (0, None)
        assert "SSLCertVerificationError" in str(row.error)
    assert not any(receiver.received)


async def test_webhook_is_signed_and_repeated_until_it_is_taken(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path, status=500)
    async with (
        receiver.listening() as port,
        with_sinks(
            tmp_path,
            f"https://127.0.0.1:{port}/hook?token=s3cret",
            audit_sinks_ca_file=receiver.files.certificate,
            audit_sinks_secret=SecretStr(SECRET),
        ) as rt,
    ):
        await SinkStream(rt).deliver()
        row = await position(rt)
        assert (row.batch, row.name) == (0, f"https://127.0.0.1:{port}/hook")
        assert "answered with status 500" in str(row.error)
        assert row.failing_since == START
        receiver.status = 204
        await SinkStream(rt).deliver()
        row = await position(rt)
        assert (row.batch, row.error, row.failing_since) == (3, None, None)
    assert len(receiver.received) == 4
    head, _, body = receiver.received[-1].partition(b"\r\n\r\n")
    fields = dict(
        line.decode().lower().split(": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line
    )
    raw = dict(line.decode().split(": ", 1) for line in head.split(b"\r\n")[1:])
    signed = f"{raw['webhook-id']}.{raw['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.digest(b"k" * 32, signed, hashlib.sha256)).decode()
    assert raw["webhook-signature"] == f"v1,{expected}"
    assert fields["content-type"] == "application/x-ndjson"
    assert batches(body) == [3]


async def test_sink_that_takes_nothing_opens_a_task_until_it_does(tmp_path: Path) -> None:
    folder = tmp_path / "mount"
    async with with_sinks(tmp_path, f"file://{folder}/sink.jsonl") as rt:
        await SinkStream(rt).deliver()
        await report_sinks(rt)
        assert (await list_tasks(rt)).items == []
        later = replace(rt, clock=lambda: START + timedelta(seconds=61))
        await SinkStream(later).deliver()
        await report_sinks(later)
        await report_sinks(later)
        [task] = (await list_tasks(rt)).items
        assert (task.kind, task.subject) == ("audit_trail", f"file://{folder}/sink.jsonl")
        assert "has batch 0" in task.summary
        folder.mkdir()
        await SinkStream(later).deliver()
        await report_sinks(later)
        assert (await list_tasks(rt)).items == []


async def _missing(rt: Runtime) -> Unavailable | None:
    async with rt.store.write() as session:
        return await missing_sink(rt, session)


async def test_no_change_is_made_without_a_sink_that_acknowledged_lately(tmp_path: Path) -> None:
    file = tmp_path / "sink.jsonl"
    async with with_sinks(tmp_path, f"file://{file}", audit_sinks_required=True) as rt:
        assert "no audit sink has acknowledged for 60 s" in str(await _missing(rt))
        await SinkStream(rt).deliver()
        assert await _missing(rt) is None
        later = replace(rt, clock=lambda: START + timedelta(seconds=61))
        assert await _missing(later) is not None
        before = file.read_bytes()
        await SinkStream(later).deliver()  # nothing new: the checkpoint is repeated
        assert await _missing(later) is None
        assert file.read_bytes()[len(before) :] == before.splitlines(keepends=True)[-1]
        await tamper(rt, "UPDATE audit_sinks SET acknowledged_at = '2026-03-04 05:08:08.000000'")
        assert await _missing(later) is not None
        optional = rt.settings.model_copy(update={"audit_sinks_required": False})
        assert await _missing(replace(later, settings=optional)) is None


@pytest.mark.parametrize(
    "url",
    [
        "file://sink",
        "file:///",
        "file://host/path",
        "http://host/path",
        "https://",
        "https://user:password@host/",
        "syslog+tls://",
        "syslog+tls://host:99999",
        "syslog://host",
        "sink.jsonl",
    ],
)
def test_address_that_is_no_sink_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(Invalid, match=r"audit_sinks .*sink 1: write file:///mount"):
        Settings.load(data_dir=tmp_path, audit_sinks=(url,))


def test_short_webhook_secret_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="openssl rand"):
        Settings.load(data_dir=tmp_path, audit_sinks_secret=SecretStr("whsec_c2hvcnQ="))
