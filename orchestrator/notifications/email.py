"""How does a mail leave? By SMTP to the configured server, over TLS unless told otherwise."""

from __future__ import annotations

import ssl
from email.message import EmailMessage
from typing import Any
from urllib.parse import unquote, urlsplit

import aiosmtplib

from orchestrator.domain.errors import Rejected, Unavailable
from orchestrator.settings import Settings

SECONDS = 20.0
"""Within which a server has to take a mail."""
_PORTS = {"smtp": 587, "smtps": 465}


async def send_mail(settings: Settings, message: EmailMessage) -> None:
    """Hands the mail over. Raises Unavailable, or Rejected where trying again will not help.

    Neither repeats what the server said, which may hold the address or a credential.
    """
    if settings.smtp_url is None:
        raise Rejected("no mail can be sent: set smtp_url, mail_from and public_url")
    try:
        await aiosmtplib.send(
            message, timeout=SECONDS, **_server(settings, settings.smtp_url.get_secret_value())
        )
    except aiosmtplib.SMTPAuthenticationError as error:
        raise Unavailable(
            f"the mail server refuses the user and password of smtp_url ({error.code})"
        ) from None
    except aiosmtplib.SMTPRecipientsRefused as error:
        raise _refused(
            "the recipient", error.recipients[0].code if error.recipients else 0
        ) from None
    except aiosmtplib.SMTPResponseException as error:
        raise _refused("the mail", error.code) from None
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        raise Unavailable(
            f"the mail server cannot be reached, or not over TLS ({type(error).__name__})"
        ) from None


def _refused(what: str, code: int) -> Rejected | Unavailable:
    """5xx is for good, 4xx for now."""
    said = f"the mail server refuses {what} ({code})"
    return Rejected(said) if code >= 500 else Unavailable(said)


def _server(settings: Settings, url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    at_once, clear = parts.scheme == "smtps", parts.query == "tls=none"
    return {
        "hostname": parts.hostname,
        "port": parts.port or _PORTS[parts.scheme],
        "username": unquote(parts.username) if parts.username else None,
        "password": unquote(parts.password) if parts.password else None,
        "use_tls": at_once,
        "start_tls": not at_once
        and not clear,  # demanded, not tried: a server without it gets nothing
        **(
            {}
            if clear
            else {"tls_context": ssl.create_default_context(cafile=settings.smtp_ca_file)}
        ),
    }
