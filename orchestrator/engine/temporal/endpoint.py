"""The endpoint of Temporal: its address, TLS with a client certificate, and an API key."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.service import RPCError, TLSConfig

from orchestrator.crypto.certificates import require_authorities, require_own_certificate
from orchestrator.crypto.private_file import read_private
from orchestrator.domain.errors import Invalid, Unavailable
from orchestrator.settings import Settings

_REFUSED_KEY = re.compile(r"code: (Unauthenticated|PermissionDenied)|'(Unauthenticated|Perm.*)'")


async def open_client(settings: Settings, **options: Any) -> Client:
    """Return a client of the configured Temporal; `options` are those of `Client.connect`.

    Raise Invalid for a wrong file or key in the settings, and Unavailable, with what to do, where
    Temporal does not answer, is not the configured one, or refuses this client.
    """
    tls, api_key = tls_of(settings), api_key_of(settings)
    try:
        return await Client.connect(
            settings.temporal_address,
            namespace=settings.temporal_namespace,
            tls=tls or False,
            api_key=api_key,
            **options,
        )
    except (RPCError, RuntimeError, OSError) as error:
        problem = _problem(settings, str(error), tls=tls, api_key=api_key)
        raise Unavailable(f"Temporal {problem}") from error


def tls_of(settings: Settings) -> TLSConfig | None:
    """Return how to use TLS; None where no setting asks for it. Raise Invalid that names a file."""
    certificate, key = settings.temporal_tls_cert_file, settings.temporal_tls_key_file
    if (certificate is None) != (key is None):
        raise Invalid("set both temporal_tls_cert_file and temporal_tls_key_file, or neither")
    authority, name = settings.temporal_tls_ca_file, settings.temporal_tls_server_name
    has_key = settings.temporal_api_key is not None or settings.temporal_api_key_file is not None
    if not (settings.temporal_tls or has_key or authority or certificate or name):
        return None
    own = _own_certificate(certificate, key) if certificate and key else (None, None)
    return TLSConfig(
        server_root_ca_cert=_authorities(authority) if authority else None,
        domain=name,
        client_cert=own[0],
        client_private_key=own[1],
    )


def api_key_of(settings: Settings) -> str | None:
    """Return the API key of the cluster. Raise Invalid that names its file."""
    if settings.temporal_api_key is not None:
        return settings.temporal_api_key.get_secret_value().strip() or None
    file = settings.temporal_api_key_file
    if file is None:
        return None
    text = (_private(file, "temporal_api_key_file")).decode("utf-8", "replace").strip()
    if not text.isascii() or not text.isprintable() or not text:
        raise Invalid(f"{file}: is not an API key; write the key alone, on one line")
    return text


def _problem(settings: Settings, error: str, *, tls: TLSConfig | None, api_key: str | None) -> str:
    """Return what is wrong and what to do, by the words of the SDK's connection error."""
    at = f"at {settings.temporal_address}"
    if api_key is not None and _REFUSED_KEY.search(error):
        return f"{at} refuses the API key; replace temporal_api_key, or the file that holds it"
    if "UnknownIssuer" in error or "BadSignature" in error:
        return (
            f"{at} has a certificate that no authority of temporal_tls_ca_file signed; name the "
            "file with the authority of that server"
        )
    if "InvalidCertificate(Expired" in error:
        return f"{at} has a certificate that has expired; renew it on the server"
    if "NotValidForName" in error:
        return (
            f"{at} has a certificate for another name; set temporal_tls_server_name to a name in "
            "it, or correct temporal_address"
        )
    if "after connection" not in error and "InvalidContentType" not in error:
        return f"does not answer {at}; start it, or set temporal_address"
    if tls is None:
        return f"{at} closes the connection: it may require TLS; set temporal_tls = true"
    if tls.client_cert is None:
        return (
            f"{at} closes the connection: it may require a client certificate; set "
            "temporal_tls_cert_file and temporal_tls_key_file"
        )
    return (
        f"{at} closes the connection: it may refuse the client certificate; "
        f"{settings.temporal_tls_cert_file} must be signed by an authority that the server trusts"
    )


def _authorities(file: Path) -> bytes:
    content = _read(file, "temporal_tls_ca_file")
    require_authorities(content, file)
    return content


def _own_certificate(certificate: Path, key: Path) -> tuple[bytes, bytes]:
    content = _read(certificate, "temporal_tls_cert_file")
    private = _private(key, "temporal_tls_key_file")
    require_own_certificate(content, certificate, private, key)
    return content, private


def _read(file: Path, setting: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise Invalid(f"{file}: cannot be read ({error.strerror}); correct {setting}") from error


def _private(file: Path, setting: str) -> bytes:
    content = read_private(file)
    if content is None:
        raise Invalid(f"{file}: does not exist; correct {setting}")
    return content
