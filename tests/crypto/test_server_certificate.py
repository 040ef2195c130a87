"""A certificate that cannot be used is refused with the place and the fix."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from structlog.testing import capture_logs

from orchestrator.crypto.server_certificate import ServerCertificate, server_certificate
from orchestrator.crypto.server_trust import ServerTrust
from orchestrator.domain.errors import Invalid
from tests.harness.certificates import Authority, CertificateFiles

HOST = "tocsin.corp.example"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "corp")


@pytest.fixture
def files(authority: Authority) -> CertificateFiles:
    return authority.issue(HOST, days=30)


def of(files: CertificateFiles) -> ServerCertificate:
    return ServerCertificate(files.certificate, files.key)


def with_password(key: Path) -> None:
    loaded = load_pem_private_key(key.read_bytes(), None)
    encryption = serialization.BestAvailableEncryption(b"a password")
    form = serialization.PrivateFormat.PKCS8
    key.write_bytes(loaded.private_bytes(serialization.Encoding.PEM, form, encryption))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda files: files.certificate.unlink(), "tls_cert: .*cannot be read.*name the file"),
        (lambda files: files.certificate.write_text("x"), "holds no certificate in PEM"),
        (lambda files: files.key.unlink(), "tls_key: .*does not exist; name the key"),
        (lambda files: files.key.write_text("x"), "holds no private key in PEM"),
        (lambda files: with_password(files.key), "no private key in PEM without a password"),
        (lambda files: files.key.chmod(0o640), r"others may read.*\(mode 640\).*chmod 600"),
    ],
)
def test_files_that_cannot_be_used_are_refused(
    files: CertificateFiles, damage: Callable[[CertificateFiles], None], message: str
) -> None:
    damage(files)
    with pytest.raises(Invalid, match=message):
        of(files)


def test_key_of_another_certificate_is_refused(
    authority: Authority, files: CertificateFiles
) -> None:
    other = authority.issue("other.example")
    with pytest.raises(Invalid, match=r"tls_key: .*is not the key of"):
        ServerCertificate(files.certificate, other.key)


def test_certificate_and_key_are_set_together(files: CertificateFiles) -> None:
    assert server_certificate(None, None) is None
    with pytest.raises(Invalid, match="set both tls_cert and tls_key"):
        server_certificate(files.certificate, None)


def test_expired_certificate_is_served_and_reported(authority: Authority) -> None:
    with capture_logs() as logged:
        expired = of(authority.issue(HOST, days=-2))
    assert expired.expires < datetime.now(UTC)
    assert [each["event"] for each in logged] == ["certificate has expired, renew it"]


@pytest.mark.parametrize(
    ("name", "host", "expected"),
    [
        (HOST, HOST, True),
        (HOST, "TOCSIN.corp.example", True),
        (HOST, "corp.example", False),
        ("*.corp.example", HOST, True),
        ("*.corp.example", "a.b.corp.example", False),
        ("*.corp.example", "corp.example", False),
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        (HOST, "192.0.2.1", False),
    ],
)
def test_names_of_a_certificate_are_read_as_clients_read_them(
    authority: Authority, name: str, host: str, expected: bool
) -> None:
    assert of(authority.issue(name, name="named")).is_for(host) is expected


def test_missing_files_leave_the_certificate_of_before_in_use(files: CertificateFiles) -> None:
    certificate = of(files)
    before = certificate.context()
    files.key.unlink()
    assert certificate.context() is before
    assert "does not exist" in (certificate.problem or "")


def test_client_on_this_machine_accepts_that_one_certificate_only(
    authority: Authority, files: CertificateFiles
) -> None:
    chain = files.certificate.read_bytes() + authority.certificate.read_bytes()
    files.certificate.write_bytes(chain)
    trust = ServerTrust(own=files.certificate)
    assert handshake(of(files), trust) is None
    sibling = of(authority.issue(HOST, name="sibling"))
    assert isinstance(handshake(sibling, trust), ssl.SSLCertVerificationError)


def handshake(certificate: ServerCertificate, trust: ServerTrust) -> ssl.SSLError | None:
    """Return why a client refuses the server; both in memory."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trust.context().wrap_bio(down, up, server_hostname="127.0.0.1")
    server = certificate.context().wrap_bio(up, down, server_side=True)
    for _ in range(4):
        for end in (client, server):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                return error
    return None
