"""The certificate of a TLS listener, which is read again once its files have changed."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import structlog
from cryptography import x509

from orchestrator.crypto.certificates import parse_certificates, parse_key
from orchestrator.crypto.private_file import read_private
from orchestrator.domain.errors import Invalid

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Loaded:
    context: ssl.SSLContext
    certificate: x509.Certificate


class ServerCertificate:
    """A certificate with its chain and key, in PEM files.

    A renewal needs no restart: `context` looks at the files (two `stat`), and reads what has
    changed. A pair that cannot be used, such as a new certificate whose key is not there yet,
    leaves the pair of before in use.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        """Read both files. Raise Invalid that names the file that cannot be used."""
        self.certificate, self.key = certificate, key
        self.problem: str | None = None
        """Why the files as they are now are not in use; None where they are."""
        self._seen = self._state()
        self._loaded = _load(certificate, key)

    def context(self) -> ssl.SSLContext:
        """Return the context for the next connection."""
        state = self._state()
        if state != self._seen:
            self._seen = state
            self._reload()
        return self._loaded.context

    @property
    def expires(self) -> datetime:
        """When the certificate ends."""
        return self._loaded.certificate.not_valid_after_utc

    @property
    def begins(self) -> datetime:
        """From when the certificate is valid."""
        return self._loaded.certificate.not_valid_before_utc

    def is_for(self, host: str) -> bool:
        """Return whether the certificate names this host: a DNS name or an address."""
        try:
            found = self._loaded.certificate.extensions.get_extension_for_class(
                x509.SubjectAlternativeName
            ).value
        except x509.ExtensionNotFound:
            return False
        try:
            return ip_address(host) in found.get_values_for_type(x509.IPAddress)
        except ValueError:
            return any(_matches(name, host) for name in found.get_values_for_type(x509.DNSName))

    def _reload(self) -> None:
        try:
            self._loaded = _load(self.certificate, self.key)
        except Invalid as error:
            self.problem = str(error)
            _log.error("certificate not renewed", reason=self.problem)
        else:
            self.problem = None
            _log.info("certificate renewed", expires=self.expires.isoformat())

    def _state(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_state_of(file) for file in (self.certificate, self.key))


def server_certificate(certificate: Path | None, key: Path | None) -> ServerCertificate | None:
    """Return the certificate of `tls_cert` and `tls_key`; None where neither is set.

    Raise Invalid where only one is set, and as `ServerCertificate`.
    """
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise Invalid("set both tls_cert and tls_key, or neither")
    return ServerCertificate(certificate, key)


def _load(certificate: Path, key: Path) -> _Loaded:
    try:
        content = certificate.read_bytes()
    except OSError as error:
        raise Invalid(
            f"tls_cert: {certificate}: cannot be read ({error.strerror}); name the file with the "
            "certificate and its chain in PEM, and let the user that runs Tocsin read it"
        ) from error
    own = parse_certificates(content, certificate)[0]
    private = read_private(key)
    if private is None:
        raise Invalid(f"tls_key: {key}: does not exist; name the key of {certificate} in PEM")
    if parse_key(private, key).public_key() != own.public_key():
        raise Invalid(
            f"tls_key: {key}: is not the key of {certificate}; name the two of one certificate, "
            "and put the server's own certificate first in its file"
        )
    if own.not_valid_after_utc < datetime.now(UTC):
        ended = f"{own.not_valid_after_utc:%Y-%m-%d}"
        _log.warning("certificate has expired, renew it", file=str(certificate), expired=ended)
    return _Loaded(_context(certificate, key), own)


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A client of TLS 1.2 could have the server repeat handshakes on one connection.
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:  # SSLError is an OSError
        reason = getattr(error, "reason", None) or error
        raise Invalid(
            f"tls_cert: {certificate}: cannot be used with {key} ({reason}); have them issued again"
        ) from error
    return context


def _state_of(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _matches(pattern: str, host: str) -> bool:
    """Return whether a name of a certificate covers a host; `*` is one whole first label."""
    pattern, host = pattern.lower(), host.lower()
    if pattern.startswith("*."):
        return host.partition(".")[2] == pattern[2:]
    return host == pattern
