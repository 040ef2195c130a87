"""How does a refused request get into the audit trail, without a flood of them filling it?"""

from __future__ import annotations

import time
from typing import Any

import structlog
from fastapi import Request
from sqlalchemy.exc import SQLAlchemyError

from orchestrator.audit import trail
from orchestrator.domain.access import Permission, Principal
from orchestrator.domain.audit_event import EventKind
from orchestrator.runtime import Runtime

_PER_MINUTE = 60
"""Events of strangers a minute; those beyond are counted, and the next event says how many they were."""
_log = structlog.get_logger(__name__)


class Refusals:
    """Writes ACCESS_REFUSED and LINK_REFUSED. Never a token; of a key only its id."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self._minute, self._written, self._left_out = 0, 0, 0

    async def unknown(self, request: Request, reason: str, key_id: str | None) -> None:
        """Nobody that we know: anyone can cause these, so they are bounded."""
        left_out = self._take()
        if left_out is not None:
            more = {"key": key_id, "reason": reason, "left_out_before": left_out}
            await self._write(request, "anonymous", more)

    async def link(self, request: Request, reason: str) -> None:
        """A link that nobody was sent: bounded as strangers are."""
        left_out = self._take()
        if left_out is not None:
            await self._write(
                request,
                "anonymous",
                {"reason": reason, "left_out_before": left_out},
                EventKind.LINK_REFUSED,
            )

    async def forbidden(
        self, request: Request, principal: Principal, permission: Permission
    ) -> None:
        """Somebody who may not: each one is written."""
        await self._write(
            request,
            f"person:{principal.person}",
            {"key": principal.key_id, "reason": f"lacks {permission}"},
        )

    def _take(self) -> int | None:
        """None where this minute has had enough; else how many were left out since the last one that was written."""
        minute = int(time.monotonic() // 60)
        if minute != self._minute:
            self._minute, self._written = minute, 0
        if self._written >= _PER_MINUTE:
            self._left_out += 1
            return None
        self._written += 1
        left_out, self._left_out = self._left_out, 0
        return left_out

    async def _write(
        self,
        request: Request,
        actor: str,
        more: dict[str, Any],
        kind: EventKind = EventKind.ACCESS_REFUSED,
    ) -> None:
        """The refusal stands even when it cannot be written."""
        path = getattr(
            request.scope.get("route"), "path", "?"
        )  # as declared: what was sent in it may be a secret
        told = {
            "method": request.method,
            "route": path,
            "from": request.client.host if request.client else None,
            **more,
        }
        try:
            async with self._rt.store.write() as session:
                await trail.record(
                    session,
                    kind,
                    actor=actor,
                    subject=f"{request.method} {path}",
                    data=told,
                    now=self._rt.clock(),
                )
        except (SQLAlchemyError, OSError) as error:
            _log.error(
                "a refusal could not be written into the trail", error=type(error).__name__, **told
            )
