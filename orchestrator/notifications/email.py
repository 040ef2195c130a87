"""Mail by SMTP to the configured server, over TLS unless configured otherwise."""

from __future__ import annotations

import ssl
from email.message import EmailMessage
from typing import Any
from urllib.parse import unquote, urlsplit

import aiosmtplib

from orchestrator.domain.errors import Rejected, Unavailable
from orchestrator.settings import Settings

TIMEOUT_SECONDS = 20.0
"""How long a server may take to accept a mail."""
_GREETING_SECONDS = 10.0
NOT_CONFIGURED = "mail is not configured; set smtp_url, mail_from and public_url"
_PORTS = {"smtp": 587, "smtps": 465}


async def send_mail(settings: Settings, message: EmailMessage) -> None:
    """Send a mail. Raise Unavailable, or Rejected where a retry cannot help.

    The errors do not repeat the server's text, which may hold the address or a credential.
    """
    if settings.smtp_url is None:
        raise Rejected(NOT_CONFIGURED)
    try:
        server = _server(settings, settings.smtp_url.get_secret_value())
        await aiosmtplib.send(message, timeout=TIMEOUT_SECONDS, **server)
    except aiosmtplib.SMTPAuthenticationError as error:
        raise Unavailable(
            f"the mail server refuses the user and password of smtp_url ({error.code})"
        ) from None
    except aiosmtplib.SMTPRecipientsRefused as error:
        code = error.recipients[0].code if error.recipients else 0
        raise _refused("the recipient", code) from None
    except aiosmtplib.SMTPResponseException as error:
        raise _refused("the mail", error.code) from None
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        raise Unavailable(
            f"the mail server cannot be reached, or not over TLS ({type(error).__name__})"
        ) from None


async def greet_server(settings: Settings) -> str:
    """Log in to the mail server without sending anything, and return its address.

    Raise Unavailable where it does not answer or does not accept the password, and Rejected where
    none is configured.
    """
    if settings.smtp_url is None:
        raise Rejected(NOT_CONFIGURED)
    try:
        options = _server(settings, settings.smtp_url.get_secret_value())
        async with aiosmtplib.SMTP(timeout=_GREETING_SECONDS, **options) as server:
            return f"{server.hostname}:{server.port}"
    except aiosmtplib.SMTPAuthenticationError as error:
        raise Unavailable(
            f"the mail server refuses the user and password of smtp_url ({error.code})"
        ) from None
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        raise Unavailable(
            f"the mail server cannot be reached, or not over TLS ({type(error).__name__})"
        ) from None


def _refused(what: str, code: int) -> Rejected | Unavailable:
    message = f"the mail server refuses {what} ({code})"
    return Rejected(message) if code >= 500 else Unavailable(message)  # 4xx is temporary


def _server(settings: Settings, url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    implicit_tls, no_tls = parts.scheme == "smtps", parts.query == "tls=none"
    options: dict[str, Any] = {
        "hostname": parts.hostname,
        "port": parts.port or _PORTS[parts.scheme],
        "username": unquote(parts.username) if parts.username else None,
        "password": unquote(parts.password) if parts.password else None,
        "use_tls": implicit_tls,
        # Required, not attempted: a server without STARTTLS gets nothing.
        "start_tls": not implicit_tls and not no_tls,
    }
    if not no_tls:
        options["tls_context"] = ssl.create_default_context(cafile=settings.smtp_ca_file)
    return options
