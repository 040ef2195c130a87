"""The sinks of an installation, by the setting `audit_sinks`."""

from __future__ import annotations

import ssl
from pathlib import Path
from urllib.parse import urlsplit

from orchestrator.audit.sinks.file import FileSink
from orchestrator.audit.sinks.s3 import S3Sink
from orchestrator.audit.sinks.sink import Sink
from orchestrator.audit.sinks.syslog import SyslogSink
from orchestrator.audit.sinks.timestamp import TimestampSink
from orchestrator.audit.sinks.webhook import WebhookSink
from orchestrator.audit.timestamp import Authorities
from orchestrator.domain.clock import Clock, utc_now
from orchestrator.domain.errors import Invalid
from orchestrator.settings import Settings
from orchestrator.settings.sinks import SYSLOG_PORT, parse_s3, webhook_key


def make_sinks(settings: Settings, clock: Clock) -> list[Sink]:
    """Return the sinks, in the order of the setting.

    Raise Invalid, naming each setting, for a sink whose secret, key or authorities are missing or
    cannot be used.
    """
    if not settings.audit_sinks:
        return []
    tls = _tls(settings.audit_sinks_ca_file)
    found: list[Sink] = []
    problems: list[str] = []
    for url in settings.audit_sinks:
        try:
            found.append(_make(url, settings, tls, clock))
        except Invalid as error:
            problems.append(str(error))
    if problems:
        raise Invalid("; ".join(problems))
    return found


def check_sinks(settings: Settings) -> None:
    """Raise Invalid as `make_sinks`: call it before anything starts that delivers to sinks."""
    make_sinks(settings, utc_now)


def _make(url: str, settings: Settings, tls: ssl.SSLContext, clock: Clock) -> Sink:
    parts = urlsplit(url)
    match parts.scheme:
        case "file":
            return FileSink(Path(parts.path))
        case "syslog+tls":
            return SyslogSink(parts.hostname or "", parts.port or SYSLOG_PORT, tls, clock)
        case "s3":
            address = parse_s3(url)
            name = f"s3://{address.bucket}/{address.prefix}"
            key_id, secret_key = settings.audit_sinks_s3_key_id, settings.audit_sinks_s3_secret
            if key_id is None or secret_key is None:
                raise Invalid(
                    f"audit sink {name}: set audit_sinks_s3_key_id and audit_sinks_s3_secret, or "
                    "remove it from audit_sinks"
                )
            return S3Sink(name, address, key_id, secret_key, tls, clock)
        case "rfc3161+https":
            if settings.audit_sinks_tsa_ca_file is None:
                raise Invalid(
                    f"audit sink {_shown(url)}: set audit_sinks_tsa_ca_file, or remove it from "
                    "audit_sinks"
                )
            authorities = Authorities.load(settings.audit_sinks_tsa_ca_file)
            return TimestampSink(url, settings.audit_timestamps_path, authorities, tls, clock)
        case _:
            if settings.audit_sinks_secret is None:
                raise Invalid(
                    f"audit sink {_shown(url)}: set audit_sinks_secret, which signs what is posted "
                    "(echo whsec_$(openssl rand -base64 32)), or remove it from audit_sinks"
                )
            key = webhook_key(settings.audit_sinks_secret.get_secret_value())
            return WebhookSink(url, key, tls, clock)


def _shown(url: str) -> str:
    """Return an address without its query, which may hold a token."""
    return urlsplit(url)._replace(query="").geturl()


def _tls(authorities: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(authorities) if authorities else None)
    except (OSError, ssl.SSLError) as error:
        raise Invalid(
            f"{authorities}: cannot be used as the authorities of audit sinks ({error}); "
            "name a file of PEM certificates"
        ) from error
