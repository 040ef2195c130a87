"""TLS connections have the limits of others from their first byte on, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
from pathlib import Path

import pytest

from api.limits import handshake
from orchestrator.crypto.server_certificate import ServerCertificate
from tests.harness.bounded_server import HOST, READYZ, ask, connect, serving, until, until_closed
from tests.harness.certificates import Authority, CertificateFiles

HELLO = bytes.fromhex("1603010200010001fc0303")  # how a client begins


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "corp")


@pytest.fixture
def files(authority: Authority) -> CertificateFiles:
    return authority.issue(HOST)


@pytest.fixture
def certificate(files: CertificateFiles) -> ServerCertificate:
    return ServerCertificate(files.certificate, files.key)


def trusting(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=authority.certificate)


async def test_request_is_answered_over_tls(
    authority: Authority, certificate: ServerCertificate
) -> None:
    async with serving(certificate) as (port, limits):
        for _ in range(20):
            assert (await ask(port, trusting(authority))).startswith(b"HTTP/1.1 200")
        await until(lambda: limits.open.total() == 0)


async def test_request_in_the_packet_that_ends_the_handshake_is_answered_over_tls(
    authority: Authority, certificate: ServerCertificate
) -> None:
    async with serving(certificate) as (port, _), asyncio.timeout(10):
        reader, writer = await connect(port)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = trusting(authority).wrap_bio(incoming, outgoing, server_hostname=HOST)
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        writer.write(outgoing.read())
        while True:
            incoming.write(await reader.read(65536))
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                pass
        client.write(READYZ)
        writer.write(outgoing.read())  # the end of the handshake, and the request behind it
        while True:
            try:
                assert client.read(12) == b"HTTP/1.1 200"
                break
            except ssl.SSLWantReadError:
                received = await reader.read(65536)
                assert b"HTTP" not in received
                incoming.write(received)


@pytest.mark.attack(
    "hold 200 TLS handshakes open", before="asyncio counts a connection after its handshake only"
)
async def test_unfinished_handshakes_of_one_address_leave_room_for_others(
    authority: Authority, certificate: ServerCertificate
) -> None:
    async with serving(certificate, most=160) as (port, limits):
        held = []
        for _ in range(200):
            reader, writer = await connect(port)
            writer.write(HELLO)
            held.append((reader, writer))
        await until(lambda: limits.open["127.0.0.1"] == 128)
        tls = trusting(authority)
        assert (await ask(port, tls, "127.0.0.2")).startswith(b"HTTP/1.1 200")
        with pytest.raises((ConnectionError, ssl.SSLError)):
            await ask(port, tls)
        for _, writer in held:
            writer.close()
        await until(lambda: limits.open.total() == 0)
        assert (await ask(port, tls)).startswith(b"HTTP/1.1 200")


@pytest.mark.attack(
    "send a TLS handshake byte by byte", before="a handshake may take a minute, and is not counted"
)
async def test_slow_handshake_ends_its_connection(certificate: ServerCertificate) -> None:
    async with serving(certificate, head_seconds=0.3) as (port, limits):
        reader, writer = await connect(port)

        async def drip() -> None:
            for byte in HELLO + bytes(400):
                writer.write(bytes([byte]))
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        await until_closed(reader)
        dripping.cancel()
        await until(lambda: limits.open.total() == 0)


async def test_connection_that_begins_no_handshake_is_closed(
    certificate: ServerCertificate,
) -> None:
    async with serving(certificate, head_seconds=0.1) as (port, limits):
        reader, _ = await connect(port)
        await until_closed(reader)
        await until(lambda: limits.open.total() == 0)


async def test_slow_head_behind_a_handshake_ends_its_connection(
    authority: Authority, certificate: ServerCertificate
) -> None:
    async with serving(certificate, head_seconds=0.3) as (port, limits):
        reader, writer = await connect(port, trusting(authority))
        writer.write(READYZ[:10])
        await until_closed(reader)
        await until(lambda: limits.open.total() == 0)


@pytest.mark.parametrize("path", [b"/pieces", b"/large"])
async def test_client_that_does_not_read_is_disconnected(
    authority: Authority,
    certificate: ServerCertificate,
    path: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(handshake, "SHUTDOWN_SECONDS", 0.1)
    async with serving(certificate, keep_alive=1, write_seconds=0.2) as (port, limits):
        _, writer = await connect(port, trusting(authority))
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path)
        await until(lambda: limits.open.total() == 1)
        await until(lambda: limits.open.total() == 0)


async def test_plain_request_gets_no_answer(certificate: ServerCertificate) -> None:
    async with serving(certificate) as (port, limits):
        reader, writer = await connect(port)
        writer.write(READYZ)
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionError):
                assert b"HTTP" not in await reader.read()
        await until(lambda: limits.open.total() == 0)


async def test_versions_before_tls_1_2_are_refused(
    authority: Authority, certificate: ServerCertificate
) -> None:
    old = trusting(authority)
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        old.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    async with serving(certificate) as (port, _):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await ask(port, old)


async def test_renewed_certificate_is_served_without_a_restart(
    authority: Authority, files: CertificateFiles, certificate: ServerCertificate, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other", "other")
    fresh = other.issue(HOST, days=90)
    async with serving(certificate) as (port, _):
        held = await connect(port, trusting(authority))
        shutil.copy(fresh.certificate, files.certificate)  # and the key a moment later
        assert (await ask(port, trusting(authority))).startswith(b"HTTP/1.1 200")
        assert "is not the key of" in (certificate.problem or "")
        shutil.copy(fresh.key, files.key)
        assert (await ask(port, trusting(other))).startswith(b"HTTP/1.1 200")
        assert certificate.problem is None
        with pytest.raises(ssl.SSLCertVerificationError):
            await ask(port, trusting(authority))
        held[1].write(READYZ)  # an open connection stays as it is
        assert (await held[0].readline()).startswith(b"HTTP/1.1 200")
