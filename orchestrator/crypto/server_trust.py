"""Which certificate of the API a client accepts, and what is wrong with one that it does not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.domain.errors import Invalid

if TYPE_CHECKING:
    import ssl

_FIRST = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME of OpenSSL
_EXPIRED, _NOT_YET_VALID = 10, 9  # X509_V_ERR_* of OpenSSL
_OTHER_NAME = {62, 64}
_NOT_TLS = {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"}


class ServerTrust(NamedTuple):
    """What a client of the API trusts. Without either file: the authorities of the system."""

    authorities: Path | None = None
    """Certificates of authorities in PEM, which are trusted instead of those of the system."""
    own: Path | None = None
    """The certificate of the server itself, on this machine: exactly this one, by any name."""

    def context(self) -> ssl.SSLContext:
        """Return the context of a client. Raise Invalid that names the file."""
        import ssl  # noqa: PLC0415  commands without a connection start faster without it

        if self.own is None:
            try:
                return ssl.create_default_context(cafile=self.authorities)
            except OSError as error:  # SSLError is an OSError
                raise Invalid(
                    f"{self.authorities}: holds no certificates in PEM ({error.strerror}); name "
                    "the file of the authority that signed the server's certificate"
                ) from error
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # On this machine the server is reached by its address, and known by its certificate.
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
        context.load_verify_locations(cadata=_first_certificate(self.own))
        return context


def explain_tls(url: str, error: BaseException) -> str | None:
    """Return what to do about a TLS connection that failed; None for another error."""
    import ssl  # noqa: PLC0415  as above

    found: BaseException | None = error
    while found is not None and not isinstance(found, ssl.SSLError):
        found = found.__cause__ or found.__context__
    if not isinstance(found, ssl.SSLError):
        return None
    if found.reason in _NOT_TLS:
        return f"{url}: does not speak TLS; write http://, or set tls_cert and tls_key there"
    if not isinstance(found, ssl.SSLCertVerificationError):
        return f"{url}: no TLS connection ({found.reason or found})"
    if found.verify_code == _EXPIRED:
        return f"{url}: the certificate has expired; renew it (tls_cert, tls_key)"
    if found.verify_code == _NOT_YET_VALID:
        return f"{url}: the certificate is not valid yet; compare the clocks of both machines"
    if found.verify_code in _OTHER_NAME:
        return (
            f"{url}: the certificate is for another name; use a name that is in it, or have it "
            "issued for this one"
        )
    return (
        f"{url}: the certificate is signed by no authority that is trusted here "
        f"({found.verify_message}); name the file of its authority with --ca or TOCSIN_CA"
    )


def _first_certificate(file: Path) -> str:
    try:
        text = file.read_text("ascii", "replace")
    except OSError as error:
        raise Invalid(
            f"{file}: cannot be read ({error.strerror}); it is the certificate of the stack on "
            "this machine (tls_cert)"
        ) from error
    match = _FIRST.search(text)
    if match is None:
        raise Invalid(f"{file}: holds no certificate in PEM; see tls_cert")
    return match[0]
