"""Checks of the API's listener: its certificate, and whether others can read its traffic."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from orchestrator.cli.diagnosis.model import Diagnosis, good, note, wrong
from orchestrator.crypto.server_certificate import ServerCertificate, server_certificate
from orchestrator.domain.errors import Invalid
from orchestrator.settings import Settings, exposure

_SOON = timedelta(days=14)


def examine_listener(settings: Settings) -> Iterator[Diagnosis]:
    """Yield what a start would refuse, and what clients would."""
    if (reason := exposure(settings)) is not None:
        yield wrong("tls", reason)
    try:
        certificate = server_certificate(settings.tls_cert, settings.tls_key)
    except Invalid as error:
        yield wrong("tls", str(error))
        return
    if certificate is None:
        return
    yield _period(certificate)
    if settings.public_url is not None:
        yield from _name(certificate, settings.public_url, proxied=bool(settings.trusted_proxies))


def _period(certificate: ServerCertificate) -> Diagnosis:
    now, file = datetime.now(UTC), certificate.certificate
    left = certificate.expires - now
    ends = f"{certificate.expires:%Y-%m-%d}"
    if left < timedelta():
        return wrong("tls", f"{file}: has expired on {ends}, and clients refuse it; renew it")
    if certificate.begins > now:
        begins = f"{certificate.begins:%Y-%m-%d %H:%M}"
        return wrong("tls", f"{file}: is valid from {begins} UTC only; compare the clock")
    days = f"{left.days} days left, until {ends}"
    if left < _SOON:
        return note("tls", f"{file}: {days}; renew it, which needs no restart")
    return good("tls", f"the certificate of the API: {days}")


def _name(certificate: ServerCertificate, url: str, *, proxied: bool) -> Iterator[Diagnosis]:
    """Yield whether the certificate is for the host of `public_url`, unless a proxy has that."""
    host = urlsplit(url).hostname or ""
    if certificate.is_for(host) or proxied:
        return
    yield wrong(
        "tls",
        f"{certificate.certificate}: does not name {host}, the host of public_url; have it issued "
        "for that name, or correct public_url",
    )
