"""How Okta keeps a user from signing in, lets them in again, and ends their sessions."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any, Literal

from connectors.capabilities.identity import Identity, UserDetails, UserInput
from connectors.okta.org import OktaOrg, OktaUser, rate_limit_wait
from connectors.okta.planned_changes import PlannedSessions, PlannedStatus
from connectors.okta.settings import OktaSettings
from connectors.sdk.action import action
from connectors.sdk.call import Call
from connectors.sdk.connector import Connector
from connectors.sdk.http import Access, HttpClient, Reply
from connectors.sdk.rate import RateLimit
from orchestrator.domain.change import Effect
from orchestrator.domain.errors import Rejected
from orchestrator.domain.observable import ObservableType, Target

Status = Literal["active", "suspended", "locked", "inactive"]
_STATUS: dict[str, Status] = {
    "ACTIVE": "active",
    "PASSWORD_EXPIRED": "active",  # can sign in, to set a new one
    "RECOVERY": "active",  # can sign in, by the recovery that is under way
    "SUSPENDED": "suspended",
    "LOCKED_OUT": "locked",
    "STAGED": "inactive",
    "PROVISIONED": "inactive",
    "DEPROVISIONED": "inactive",
}
_LOOK_AGAIN_SECONDS = 2.0


class Okta(Connector[OktaSettings], Identity):
    """Speaks the Okta management API v1. The planned_changes name a user by the full login, however the alert spelled it."""

    name = "okta"
    title = "Okta"
    docs = "https://developer.okta.com/docs/api/openapi/okta-management/guides/overview/"
    rate_limit = RateLimit(10)

    def __init__(self, settings: OktaSettings, http: HttpClient) -> None:
        super().__init__(settings, http)
        self._okta = OktaOrg(http, settings)

    @classmethod
    def headers(cls, settings: OktaSettings, access: Access) -> dict[str, str]:
        """The SSWS token."""
        token = (
            settings.write_api_token
            if access is Access.WRITE and settings.write_api_token
            else settings.api_token
        )
        return {"Authorization": f"SSWS {token.get_secret_value()}", "Accept": "application/json"}

    @classmethod
    def retry_after(cls, reply: Reply) -> timedelta | None:
        """Okta says when in X-Rate-Limit-Reset."""
        return rate_limit_wait(reply)

    async def check(self) -> str:
        """Asks Okta whose token it is, and whether it sees the System Log, which shows that sessions were ended."""
        login = await self._okta.whoami()
        await self._okta.sees_log()
        return f"signed in as {login}"

    @action(Effect.READ)
    async def find_user(self, query: UserInput, call: Call) -> UserDetails:
        """Look a user up, with status and groups."""
        found = await self._okta.user(query.user)
        return UserDetails(
            id=found.id,
            login=found.login,
            name=found.name,
            status=_status(found),
            groups=await self._okta.groups(found.id),
            last_login=found.last_login,
        )

    async def plan_suspend_user(self, wish: UserInput, call: Call) -> PlannedStatus:
        """Looks whether the user can sign in. Rejected for a user whom Okta cannot suspend as they are."""
        found = await self._okta.user(wish.user)
        if found.status in {"SUSPENDED", "DEPROVISIONED"}:
            return _planned_change(
                found,
                changed=False,
                summary=f"{found.login} is {found.status} already",
                after="SUSPENDED",
            )
        if found.status != "ACTIVE":
            message = f"{found.login} is {found.status}, and Okta suspends only users who are ACTIVE; activate, unlock or deactivate them in Okta"
            raise Rejected(message)
        return _planned_change(
            found, changed=True, summary=f"Suspend {_described(found)}", after="SUSPENDED"
        )

    async def plan_unsuspend_user(self, wish: UserInput, call: Call) -> PlannedStatus:
        """Looks whether the user is suspended."""
        found = await self._okta.user(wish.user)
        suspended = found.status == "SUSPENDED"
        summary = (
            f"Unsuspend {_described(found)}"
            if suspended
            else f"{found.login} is not suspended ({found.status})"
        )
        return _planned_change(found, changed=suspended, summary=summary, after="ACTIVE")

    async def undo_status(self, planned_change: PlannedStatus, call: Call) -> None:
        """Gives the user the other status again, unless somebody else has moved them on meanwhile."""
        if (await self._okta.user(planned_change.user)).status == planned_change.after:
            await self._okta.set_status(
                planned_change.user,
                "ACTIVE" if planned_change.after == "SUSPENDED" else "SUSPENDED",
            )

    @action(Effect.CONTAIN, plan=plan_suspend_user, undo=undo_status)
    async def suspend_user(self, planned_change: PlannedStatus, call: Call) -> None:
        """Suspend a user: they cannot sign in, and keep their groups and applications. Sessions that are open go on; end them too."""
        await self._okta.set_status(planned_change.user, planned_change.after)

    @action(Effect.RESTORE, plan=plan_unsuspend_user, undo=undo_status)
    async def unsuspend_user(self, planned_change: PlannedStatus, call: Call) -> None:
        """Let a suspended user sign in again."""
        await self._okta.set_status(planned_change.user, planned_change.after)

    async def plan_end_sessions(self, wish: UserInput, call: Call) -> PlannedSessions:
        """Looks whether this step has ended the user's sessions already. Okta lists no sessions, so nobody can say how many there are."""
        found = await self._okta.user(wish.user)
        ended = await self._okta.ended_sessions(found.id, call.tag)
        return PlannedSessions(
            target=Target.of(ObservableType.USER, found.login),
            changed=not ended,
            summary=f"This step has ended the sessions of {found.login}"
            if ended
            else f"End all sessions and tokens of {_described(found)}",
            user=found.id,
        )

    async def verify_end_sessions(
        self, wish: UserInput, planned_change: PlannedSessions, output: dict[str, Any], call: Call
    ) -> bool:
        """Waits until Okta's System Log shows that this very call ended the sessions; it lags by seconds.

        It is the only place where Okta tells, because sessions cannot be listed. It says that they were ended then; it does not
        say that the user has not signed in since, which only a suspension prevents.
        """
        until = time.monotonic() + self.settings.log_wait_seconds
        while not await self._okta.ended_sessions(planned_change.user, call.tag):
            if time.monotonic() + _LOOK_AGAIN_SECONDS > until:
                return False
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        return True

    @action(Effect.DESTROY, plan=plan_end_sessions, verify=verify_end_sessions)
    async def end_sessions(self, planned_change: PlannedSessions, call: Call) -> None:
        """End all sessions of a user and revoke their tokens; cannot be taken back."""
        if not await self._okta.ended_sessions(planned_change.user, call.tag):
            await self._okta.end_sessions(planned_change.user, call.tag)


def _planned_change(
    found: OktaUser, *, changed: bool, summary: str, after: Literal["SUSPENDED", "ACTIVE"]
) -> PlannedStatus:
    target = Target.of(ObservableType.USER, found.login)
    return PlannedStatus(
        target=target,
        changed=changed,
        summary=summary,
        user=found.id,
        before=found.status,
        after=after,
    )


def _described(found: OktaUser) -> str:
    return f"{found.login} ({found.name})"[:300] if found.name else found.login


def _status(found: OktaUser) -> Status:
    """Our word for the status; a word that is new to us counts as active, because then nothing says that they cannot sign in."""
    return _STATUS.get(found.status, "active")
