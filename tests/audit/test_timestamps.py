"""Checkpoints are time-stamped by an authority (RFC 3161), which `openssl ts` plays here."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.audit.sealer import export_trail
from orchestrator.audit.sinks.requirement import missing_sink
from orchestrator.audit.sinks.stream import SinkStream
from orchestrator.audit.timestamp import Authorities, load_timestamps
from orchestrator.audit.verify.check import Kept, verify
from orchestrator.domain.errors import Invalid
from orchestrator.runtime import Runtime
from tests.audit.test_sinks import position, with_sinks
from tests.audit.test_transparency import rewrite
from tests.harness.certificates import certificate_for
from tests.harness.databases import START

pytest.importorskip("rfc3161_client")

OPENSSL = shutil.which("openssl") or "openssl"
CONFIG = """
[tsa]
default_tsa = stamp
[stamp]
serial = serial
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ordering = yes
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


class StampingAuthority:
    """A TLS server on the loopback; its answers are made by `openssl ts`."""

    def __init__(self, folder: Path, name: str = "tsa") -> None:
        self._folder = folder / name
        self._folder.mkdir()
        self.web = certificate_for("127.0.0.1", self._folder)
        self.root = self._folder / "root.pem"
        self.asked = 0
        (self._folder / "config").write_text(CONFIG)
        (self._folder / "serial").write_text("01\n")
        new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650"]
        self._run(
            "req", "-x509", *new, "-subj", "/CN=root", "-keyout", "root.key", "-out", "root.pem"
        )
        self._run("req", *new[:-2], "-subj", "/CN=tsa", "-keyout", "tsa.key", "-out", "tsa.csr")
        (self._folder / "use").write_text(
            "extendedKeyUsage=critical,timeStamping\nkeyUsage=critical,digitalSignature\n"
        )
        signed = ["-CA", "root.pem", "-CAkey", "root.key", "-days", "3650", "-extfile", "use"]
        self._run("x509", "-req", "-in", "tsa.csr", *signed, "-out", "tsa.pem")

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Serve, and yield the address of the sink."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.web)
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        async with server:
            yield f"rfc3161+https://127.0.0.1:{server.sockets[0].getsockname()[1]}/tsr"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length:")
        )
        self.asked += 1
        (self._folder / "query").write_bytes(await reader.readexactly(length))
        signer = ["-signer", "tsa.pem", "-inkey", "tsa.key"]
        self._run(
            "ts", "-reply", "-config", "config", "-queryfile", "query", *signer, "-out", "reply"
        )
        body = (self._folder / "reply").read_bytes()
        writer.write(
            b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
        )
        writer.write(body)
        await writer.drain()
        writer.close()

    def _run(self, *command: str) -> None:
        subprocess.run([OPENSSL, *command], cwd=self._folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> StampingAuthority:
    """Return an authority."""
    return StampingAuthority(tmp_path_factory.mktemp("authority"))


@asynccontextmanager
async def stamped(
    folder: Path, authority: StampingAuthority, root: Path | None = None, **settings: object
) -> AsyncIterator[Runtime]:
    """Open a runtime with three sealed batches, of which the newest is stamped."""
    files = {
        "audit_sinks_ca_file": authority.web.certificate,
        "audit_sinks_tsa_ca_file": root or authority.root,
    }
    async with (
        authority.listening() as url,
        with_sinks(folder, url, **files, **settings) as rt,
    ):
        stream = SinkStream(rt)
        await stream.deliver()
        later = replace(rt, clock=lambda: START + timedelta(minutes=2))
        await SinkStream(later).deliver()
        yield rt


async def test_newest_batch_is_stamped_and_the_verification_says_when(
    tmp_path: Path, authority: StampingAuthority
) -> None:
    authority.asked = 0
    async with stamped(tmp_path, authority) as rt:
        assert (await position(rt)).error is None
        assert authority.asked == 2
        found = load_timestamps(rt.settings.audit_timestamps_path, Authorities.load(authority.root))
        assert [each.checkpoint.batch for each in found] == [1, 3]
        await export_trail(rt, tmp_path / "t.jsonl")
        report = verify(tmp_path / "t.jsonl", rt.audit_key.public, Kept(timestamps=tuple(found)))
        assert report.status == "intact"
        assert report.notes[0].startswith("batch 3 and its 6 events existed at 20")


@pytest.mark.attack(
    "rewrite the past with all keys, and say that it was so then",
    before="nothing said when the trail was what",
)
async def test_time_stamp_reveals_a_trail_rewritten_later(
    tmp_path: Path, authority: StampingAuthority
) -> None:
    async with stamped(tmp_path, authority) as rt:
        found = load_timestamps(rt.settings.audit_timestamps_path, Authorities.load(authority.root))
        await rewrite(rt, 3)
        await export_trail(rt, tmp_path / "t.jsonl")
        report = verify(tmp_path / "t.jsonl", rt.audit_key.public, Kept(timestamps=tuple(found)))
        assert report.status == "altered"
        assert "batch 3 is not the one in the time stamp of" in report.findings[0]


async def test_authority_that_is_not_trusted_stamps_nothing(
    tmp_path: Path, authority: StampingAuthority
) -> None:
    other = StampingAuthority(tmp_path, "other")
    async with stamped(tmp_path, authority, root=other.root) as rt:
        assert "its time stamp is not valid" in str((await position(rt)).error)
        assert not rt.settings.audit_timestamps_path.exists()


async def test_time_stamps_that_were_altered_are_refused(
    tmp_path: Path, authority: StampingAuthority
) -> None:
    async with stamped(tmp_path, authority) as rt:
        path, trusted = rt.settings.audit_timestamps_path, Authorities.load(authority.root)
        path.write_bytes(path.read_bytes().replace(b'"batch":3', b'"batch":4'))
        with pytest.raises(Invalid, match="line 2: no trusted authority stamped batch 4"):
            load_timestamps(path, trusted)


async def test_authority_does_not_count_as_a_required_sink(
    tmp_path: Path, authority: StampingAuthority
) -> None:
    async with stamped(tmp_path, authority, audit_sinks_required=True) as rt:
        assert (await position(rt)).acknowledged_at is not None
        later = replace(rt, clock=lambda: START + timedelta(minutes=2))
        async with rt.store.write() as session:
            assert "no audit sink has acknowledged" in str(await missing_sink(later, session))
