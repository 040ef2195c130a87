"""New approvers: a person, key, group or contact that is new does not approve for a time."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.domain.access import Principal
from orchestrator.domain.errors import Forbidden
from orchestrator.policy.load_inputs import load_policies_since
from orchestrator.store.paging import to_iso


async def check_established(
    session: AsyncSession, principal: Principal, group: str | None, now: datetime
) -> None:
    """Raise Forbidden while a principal is new, as the policy says.

    The longest wait of all policies that were in force since then counts: a policy that shortens
    it does so for those who come after it.
    """
    since = principal.approver_since(group)
    if since is None:
        return
    wait = max(
        each.approvals.new_approvers_wait for each in await load_policies_since(session, since)
    )
    ready = since + timedelta(seconds=wait)
    if now < ready:
        as_member = f" of {group}" if group is not None else ""
        raise Forbidden(
            f"{principal.person} is a new approver{as_member} since {to_iso(since)} (a new person, "
            f"key, group or contact), and may approve from {to_iso(ready)} on; ask another approver"
        )
