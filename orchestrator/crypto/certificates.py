"""X.509: certificates for a port of this machine, and checks of those that settings name."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from orchestrator.crypto.private_file import read_private, replace_private
from orchestrator.domain.errors import Invalid

_YEARS = timedelta(days=3650)
_RENEW = timedelta(days=30)
_SKEW = timedelta(days=1)
_LOOPBACK = ipaddress.ip_address("127.0.0.1")


class LoopbackCertificates:
    """The files of a loopback port that only the owner of a folder may use.

    One authority signs one certificate for the server and one for its clients. Its key is never
    stored, so that no third certificate is ever made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = folder / "ca.pem"
        self.server, self.server_key = folder / "server.pem", folder / "server.key"
        self.client, self.client_key = folder / "client.pem", folder / "client.key"

    def ensure(self) -> None:
        """Make all files (mode 600, in a folder of mode 700), unless they are there and valid."""
        if self._are_valid():
            return
        self.folder.mkdir(mode=0o700, exist_ok=True)
        authority_key = ec.generate_private_key(ec.SECP256R1())
        authority = _certificate("Tocsin on this machine", authority_key, authority_key)
        server, server_key = _issued("server", ExtendedKeyUsageOID.SERVER_AUTH, authority_key)
        client, client_key = _issued("client", ExtendedKeyUsageOID.CLIENT_AUTH, authority_key)
        # The authority last: it tells whether the rest is whole.
        self.authority.unlink(missing_ok=True)
        replace_private(self.server, server)
        replace_private(self.server_key, server_key)
        replace_private(self.client, client)
        replace_private(self.client_key, client_key)
        replace_private(self.authority, _pem(authority))

    def _are_valid(self) -> bool:
        files = (self.server, self.server_key, self.client, self.client_key, self.authority)
        if any(read_private(file) is None for file in files):
            return False
        ends = parse_certificates(self.client.read_bytes(), self.client)[0].not_valid_after_utc
        return ends > datetime.now(UTC) + _RENEW


def require_authorities(content: bytes, file: Path) -> None:
    """Raise Invalid unless a file holds certificates, one of which is valid by its time."""
    found = parse_certificates(content, file)
    if all(each.not_valid_after_utc < datetime.now(UTC) for each in found):
        raise Invalid(f"{file}: the certificate of the authority has expired; replace it")


def require_own_certificate(certificate: bytes, file: Path, key: bytes, key_file: Path) -> None:
    """Raise Invalid unless a client certificate is valid by its time, and the key is its own."""
    own = parse_certificates(certificate, file)[0]
    if own.not_valid_after_utc < datetime.now(UTC):
        ended = f"{own.not_valid_after_utc:%Y-%m-%d}"
        raise Invalid(f"{file}: the client certificate has expired on {ended}; renew it")
    if own.public_key() != parse_key(key, key_file).public_key():
        raise Invalid(f"{key_file}: is not the key of {file}; name the two of one certificate")


def parse_certificates(content: bytes, file: Path) -> list[x509.Certificate]:
    """Return the certificates in PEM, in their order. Raise Invalid that names the file."""
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError:
        raise Invalid(f"{file}: holds no certificate in PEM; name the right file") from None


def parse_key(content: bytes, file: Path) -> PrivateKeyTypes:
    """Return the private key in PEM. Raise Invalid that names the file."""
    try:
        return serialization.load_pem_private_key(content, password=None)
    except (ValueError, TypeError):
        raise Invalid(f"{file}: holds no private key in PEM without a password") from None


def _issued(
    name: str, usage: x509.ObjectIdentifier, authority: ec.EllipticCurvePrivateKey
) -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return _pem(_certificate(name, key, authority, usage)), private


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    authority: ec.EllipticCurvePrivateKey,
    usage: x509.ObjectIdentifier | None = None,
) -> x509.Certificate:
    """Return a certificate; without `usage`, that of the authority itself."""
    issuer = _name("Tocsin on this machine")
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(name) if usage else issuer)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + _YEARS)
        .add_extension(x509.BasicConstraints(ca=usage is None, path_length=None), critical=True)
    )
    if usage is not None:
        names = [x509.IPAddress(_LOOPBACK), x509.DNSName("localhost")]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return builder.sign(authority, hashes.SHA256())


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
