"""The Okta connector: suspends users, lifts suspensions and ends sessions."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any, Literal

from connectors.capabilities.identity import Identity, UserDetails, UserInput
from connectors.okta.client import OktaClient, OktaUser, rate_limit_wait
from connectors.okta.planned_changes import SessionTermination, UserStatusChange
from connectors.okta.settings import OktaSettings
from connectors.sdk.action import action
from connectors.sdk.call import ActionCall
from connectors.sdk.connector import Connector
from connectors.sdk.http import HttpClient
from connectors.sdk.rate_limit import RateLimit
from connectors.sdk.reply import HttpReply
from connectors.sdk.transport import Access
from orchestrator.domain.change import Effect
from orchestrator.domain.errors import Rejected
from orchestrator.domain.observable import ObservableType, Target

Status = Literal["active", "suspended", "locked", "inactive"]
_STATUS: dict[str, Status] = {
    "ACTIVE": "active",
    "PASSWORD_EXPIRED": "active",  # can sign in to set a new one
    "RECOVERY": "active",  # can sign in by the current recovery
    "SUSPENDED": "suspended",
    "LOCKED_OUT": "locked",
    "STAGED": "inactive",
    "PROVISIONED": "inactive",
    "DEPROVISIONED": "inactive",
}
_POLL_SECONDS = 2.0


class Okta(Connector[OktaSettings], Identity):
    """Speaks the Okta management API v1. A target is always the full login."""

    name = "okta"
    title = "Okta"
    docs = "https://developer.okta.com/docs/api/openapi/okta-management/guides/overview/"
    rate_limit = RateLimit(10)

    def __init__(self, settings: OktaSettings, http: HttpClient) -> None:
        super().__init__(settings, http)
        self._okta = OktaClient(http, settings)

    @classmethod
    def headers(cls, settings: OktaSettings, access: Access) -> dict[str, str]:
        """Return the SSWS token."""
        token = (
            settings.write_api_token
            if access is Access.WRITE and settings.write_api_token
            else settings.api_token
        )
        return {"Authorization": f"SSWS {token.get_secret_value()}", "Accept": "application/json"}

    @classmethod
    def retry_after(cls, reply: HttpReply) -> timedelta | None:
        """Return the wait until X-Rate-Limit-Reset."""
        return rate_limit_wait(reply)

    async def check(self) -> str:
        """Read the token's account, and the System Log, which shows ended sessions."""
        login = await self._okta.whoami()
        await self._okta.check_log_access()
        return f"signed in as {login}"

    @action(Effect.READ)
    async def find_user(self, query: UserInput, call: ActionCall) -> UserDetails:
        """Look up a user with status and groups."""
        user = await self._okta.user(query.user)
        return UserDetails(
            id=user.id,
            login=user.login,
            name=user.name,
            status=_status(user),
            groups=await self._okta.groups(user.id),
            last_login=user.last_login,
        )

    async def plan_suspend_user(self, inputs: UserInput, call: ActionCall) -> UserStatusChange:
        """Read the user's status. Rejected for a status from which Okta cannot suspend."""
        user = await self._okta.user(inputs.user)
        if user.status in {"SUSPENDED", "DEPROVISIONED"}:
            return _status_change(
                user,
                changed=False,
                summary=f"{user.login} is already {user.status}",
                after="SUSPENDED",
            )
        if user.status != "ACTIVE":
            message = (
                f"{user.login} is {user.status}, and Okta suspends only ACTIVE users; "
                "activate, unlock or deactivate the user in Okta"
            )
            raise Rejected(message)
        return _status_change(
            user, changed=True, summary=f"Suspend {_title(user)}", after="SUSPENDED"
        )

    async def plan_unsuspend_user(self, inputs: UserInput, call: ActionCall) -> UserStatusChange:
        """Read whether the user is suspended."""
        user = await self._okta.user(inputs.user)
        suspended = user.status == "SUSPENDED"
        summary = (
            f"Unsuspend {_title(user)}"
            if suspended
            else f"{user.login} is not suspended ({user.status})"
        )
        return _status_change(user, changed=suspended, summary=summary, after="ACTIVE")

    async def undo_status(self, planned_change: UserStatusChange, call: ActionCall) -> None:
        """Restore the user's status, unless another administrator has changed it since."""
        if (await self._okta.user(planned_change.user)).status == planned_change.after:
            await self._okta.set_status(
                planned_change.user,
                "ACTIVE" if planned_change.after == "SUSPENDED" else "SUSPENDED",
            )

    @action(Effect.CONTAIN, plan=plan_suspend_user, undo=undo_status)
    async def suspend_user(self, planned_change: UserStatusChange, call: ActionCall) -> None:
        """Suspend a user. Groups, applications and open sessions stay; end the sessions too."""
        await self._okta.set_status(planned_change.user, planned_change.after)

    @action(Effect.RESTORE, plan=plan_unsuspend_user, undo=undo_status)
    async def unsuspend_user(self, planned_change: UserStatusChange, call: ActionCall) -> None:
        """Let a suspended user sign in again."""
        await self._okta.set_status(planned_change.user, planned_change.after)

    async def plan_end_sessions(self, inputs: UserInput, call: ActionCall) -> SessionTermination:
        """Read whether this step has ended the user's sessions. Okta cannot list sessions."""
        user = await self._okta.user(inputs.user)
        ended = await self._okta.has_ended_sessions(user.id, call.tag)
        return SessionTermination(
            target=Target.of(ObservableType.USER, user.login),
            changed=not ended,
            summary=f"This step has ended the sessions of {user.login}"
            if ended
            else f"End all sessions and tokens of {_title(user)}",
            user=user.id,
        )

    async def verify_end_sessions(
        self,
        inputs: UserInput,
        planned_change: SessionTermination,
        output: dict[str, Any],
        call: ActionCall,
    ) -> bool:
        """Wait until the System Log shows that this call ended the sessions; it lags by seconds.

        The System Log is the only evidence, because Okta cannot list sessions. It shows that they
        ended, not that the user has not signed in since, which only a suspension prevents.
        """
        until = time.monotonic() + self.settings.log_wait_seconds
        while not await self._okta.has_ended_sessions(planned_change.user, call.tag):
            if time.monotonic() + _POLL_SECONDS > until:
                return False
            await asyncio.sleep(_POLL_SECONDS)
        return True

    @action(Effect.DESTROY, plan=plan_end_sessions, verify=verify_end_sessions)
    async def end_sessions(self, planned_change: SessionTermination, call: ActionCall) -> None:
        """End all sessions of a user and revoke the tokens; cannot be undone."""
        if not await self._okta.has_ended_sessions(planned_change.user, call.tag):
            await self._okta.end_sessions(planned_change.user, call.tag)


def _status_change(
    user: OktaUser, *, changed: bool, summary: str, after: Literal["SUSPENDED", "ACTIVE"]
) -> UserStatusChange:
    target = Target.of(ObservableType.USER, user.login)
    return UserStatusChange(
        target=target,
        identity=user.id,
        changed=changed,
        summary=summary,
        user=user.id,
        before=user.status,
        after=after,
    )


def _title(user: OktaUser) -> str:
    return f"{user.login} ({user.name})"[:300] if user.name else user.login


def _status(user: OktaUser) -> Status:
    """Return the capability's status. An unknown one counts as active: the user may sign in."""
    return _STATUS.get(user.status, "active")
