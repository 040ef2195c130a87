"""A mail server on the loopback: it keeps what it accepts, and rejects what a test tells it to."""

from __future__ import annotations

import asyncio
import email
import ssl
from email.message import EmailMessage
from email.policy import default
from typing import Any, Self, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


class MailServer:
    """A real SMTP server. `answers`: its replies to the next mails, before it accepts others."""

    def __init__(self, tls: ssl.SSLContext | None = None, password: str | None = None) -> None:
        self.taken: list[EmailMessage] = []
        self.raw: list[bytes] = []
        self.answers: list[str] = []
        self.url = ""
        self._tls, self._password = tls, password

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()

        def protocol() -> SMTP:
            demands = (
                {"auth_required": True, "authenticator": self._login} if self._password else {}
            )
            return SMTP(
                self,
                hostname="mail.example",
                tls_context=self._tls,
                loop=loop,
                require_starttls=bool(self._tls),
                **demands,
            )

        self._server = await loop.create_server(protocol, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        who = f"tocsin:{self._password}@" if self._password else ""
        self.url = f"smtp://{who}127.0.0.1:{port}" + ("" if self._tls else "?tls=none")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def handle_RCPT(
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        _options: list[str],
    ) -> str:
        if self.answers and self.answers[0].startswith("RCPT "):
            return self.answers.pop(0).removeprefix("RCPT ")
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        if self.answers:
            return self.answers.pop(0)
        content = cast("bytes", envelope.content)
        self.raw.append(content)
        self.taken.append(cast("EmailMessage", email.message_from_bytes(content, policy=default)))
        return "250 taken"

    def _login(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any
    ) -> AuthResult:
        return AuthResult(
            success=isinstance(data, LoginPassword)
            and data.password == str(self._password).encode(),
            handled=False,
        )
