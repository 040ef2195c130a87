"""Problems that a start reports: settings without effect, and groups that are incomplete."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from ipaddress import ip_address, ip_network
from typing import NamedTuple

from orchestrator.settings.model import CONFIG, PREFIX, Settings

_OTHER_VARIABLES = (
    CONFIG,
    "TOCSIN_API_KEY",
    "TOCSIN_CA",
    "TOCSIN_URL",
    "TOCSIN_LIFELINE",
    "TOCSIN_LISTENER",
)
"""Variables that are no settings: of commands, and of the children of `tocsin up`."""


class UnknownVariable(NamedTuple):
    """A TOCSIN_* variable that no part of Tocsin reads."""

    name: str
    meant: str | None
    """The variable with a similar name."""

    def __str__(self) -> str:
        fix = f"did you mean {self.meant}?" if self.meant else "remove it, or see docs/operating.md"
        return f"{self.name}: unknown variable, which has no effect; {fix}"


def unknown_variables(environment: Mapping[str, str]) -> list[UnknownVariable]:
    """Return the TOCSIN_* variables that have no effect, by name."""
    known = [PREFIX + name.upper() for name in Settings.model_fields] + list(_OTHER_VARIABLES)
    return [
        UnknownVariable(name, next(iter(get_close_matches(name.upper(), known, n=1)), None))
        for name in sorted(environment)
        if name.startswith(PREFIX) and name.upper() not in known
    ]


def incomplete_settings(settings: Settings) -> list[str]:
    """Return a sentence for each group of settings of which only some are given."""
    mail = {
        "smtp_url": settings.smtp_url,
        "mail_from": settings.mail_from,
        "public_url": settings.public_url,
    }
    found = _incomplete_sinks(settings)
    if settings.smtp_url is None and settings.mail_from is None:
        return found  # `public_url` alone serves the links in Slack
    missing = [name for name, value in mail.items() if value is None]
    return [*found, *([f"no mail is sent: also set {' and '.join(missing)}"] if missing else [])]


def exposure(settings: Settings) -> str | None:
    """Return why API keys could be read on the network; None where they could not."""
    if settings.tls_cert is not None or _is_loopback(settings.host):
        return None
    if any(not ip_network(text).is_loopback for text in settings.trusted_proxies):
        return None
    return (
        f"host {settings.host}: other machines reach the API there, and keys and alerts would "
        "cross the network in the clear; set tls_cert and tls_key, or trusted_proxies to the "
        "reverse proxy on another machine that ends TLS, or host to 127.0.0.1"
    )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _incomplete_sinks(settings: Settings) -> list[str]:
    if settings.audit_sinks_required and not settings.audit_sinks:
        return ["no change is made: audit_sinks_required is set, and audit_sinks is not"]
    return []
