"""Checks of the mail settings: complete, and answered by the server."""

from __future__ import annotations

from orchestrator.cli.diagnosis.model import Diagnosis, good, note, wrong
from orchestrator.domain.errors import ActionError
from orchestrator.notifications.email import greet_server
from orchestrator.settings import Settings, incomplete_settings


async def examine_mail(settings: Settings) -> list[Diagnosis]:
    """Return whether mails can be sent."""
    if problems := incomplete_settings(settings):
        return [wrong("mail", problem) for problem in problems]
    if settings.smtp_url is None:
        return [note("mail", "mail is not configured: people are not notified by mail")]
    try:
        server = await greet_server(settings)
    except ActionError as error:
        return [wrong("mail", f"smtp_url: {error}; check that it runs, and smtp_url")]
    return [good("mail", f"the mail server {server} answers")]
