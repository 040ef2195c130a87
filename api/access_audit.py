"""Audit of refused requests: each one by a known person, a bounded number by anyone else."""

from __future__ import annotations

from typing import Any

import structlog
from fastapi import Request
from sqlalchemy.exc import SQLAlchemyError

from orchestrator.audit import trail
from orchestrator.domain.access import Permission, Principal
from orchestrator.domain.audit_event import EventBudget, EventKind
from orchestrator.runtime import Runtime

_PER_MINUTE = 60
"""Events of unauthenticated requests per minute. The next event counts those that were left out."""
_log = structlog.get_logger(__name__)


class AccessAudit:
    """Writer of ACCESS_REFUSED and LINK_REFUSED.

    It never records a token, and of a key only its id.
    """

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self._budget = EventBudget(_PER_MINUTE)

    async def record_unauthenticated(
        self, request: Request, reason: str, key_id: str | None
    ) -> None:
        """Record a request without a valid key; anyone can send these, so they are bounded."""
        left_out = self._budget.reserve()
        if left_out is not None:
            data = {"key": key_id, "reason": reason, "left_out_before": left_out}
            await self._write(request, "anonymous", data)

    async def record_invalid_link(self, request: Request, reason: str) -> None:
        """Record a one-time link that was never sent, bounded like unauthenticated requests."""
        left_out = self._budget.reserve()
        if left_out is not None:
            data = {"reason": reason, "left_out_before": left_out}
            await self._write(request, "anonymous", data, EventKind.LINK_REFUSED)

    async def record_forbidden(
        self, request: Request, principal: Principal, permission: Permission
    ) -> None:
        """Record a request of a known person who lacks the permission."""
        data = {"key": principal.key_id, "reason": f"lacks {permission}"}
        await self._write(request, f"person:{principal.person}", data)

    async def _write(
        self,
        request: Request,
        actor: str,
        details: dict[str, Any],
        kind: EventKind = EventKind.ACCESS_REFUSED,
    ) -> None:
        """Record the event; the request stays refused even when that fails."""
        # The path as it is declared: what the client wrote in it may be a secret.
        path = getattr(request.scope.get("route"), "path", "?")
        data = {
            "method": request.method,
            "route": path,
            "from": request.client.host if request.client else None,
            **details,
        }
        try:
            async with self._rt.store.write() as session:
                await trail.record(
                    session,
                    kind,
                    actor=actor,
                    subject=f"{request.method} {path}",
                    data=data,
                    now=self._rt.clock(),
                )
        except (SQLAlchemyError, OSError) as error:
            _log.error(
                "refused request not recorded in the audit trail",
                error=type(error).__name__,
                **data,
            )
