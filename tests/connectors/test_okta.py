"""The Okta connector beyond the contract: earlier suspensions, and one target per user."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

import httpx
import pytest

from connectors.contract import HttpConnectorContract, Sample
from connectors.okta.client import rate_limit_wait
from connectors.okta.connector import Okta
from connectors.okta.emulator import OktaEmulator
from connectors.sdk.call import ActionCall
from connectors.sdk.reply import HttpReply
from connectors.sdk.transport import Access
from orchestrator.domain.errors import Rejected, Unavailable

JANE = "j.doe@corp.example"


class TestOkta(HttpConnectorContract):
    connector = Okta
    emulator = OktaEmulator
    samples: ClassVar[dict[str, Sample]] = {
        "find_user": Sample({"user": "j.doe"}),
        "suspend_user": Sample({"user": "j.doe"}),
        "unsuspend_user": Sample({"user": "x.held"}),
        "end_sessions": Sample({"user": "j.doe"}),
    }

    def patience(self) -> dict[str, Any]:
        """Do not wait for the System Log."""
        return {"log_wait_seconds": 0}

    async def test_user_has_status_and_groups(self) -> None:
        async with self.open(self.make_world(), Access.READ) as okta:
            found = await okta.read("find_user", {"user": "a.admin"}, ActionCall.bare())
        assert (found["login"], found["status"], found["groups"]) == (
            "a.admin@corp.example",
            "active",
            ["Everyone", "Domain Admins"],
        )

    @pytest.mark.parametrize("name", ["j.doe", "J.Doe@corp.example", "CORP\\j.doe", "corp\\J.DOE"])
    async def test_every_spelling_of_a_user_is_one_target(self, name: str) -> None:
        async with self.open(self.make_world(), Access.READ) as okta:
            planned_change = await okta.plan("suspend_user", {"user": name}, ActionCall.bare())
        assert planned_change["target"] == {"type": "user", "value": JANE}

    @pytest.mark.parametrize(
        "name", ["EVIL\\j.doe", "unknown", "me", "j.doe/sessions", "..", "CORP\\", "CORP\\me/x"]
    )
    async def test_name_without_a_user_is_rejected(self, name: str) -> None:
        world = self.make_world()
        async with self.open(world, Access.READ) as okta:
            for action in ("suspend_user", "end_sessions"):
                with pytest.raises(Rejected):
                    await okta.plan(action, {"user": name}, ActionCall.bare())

    async def test_undo_keeps_a_suspension_from_before(self) -> None:
        world = self.make_world()
        before = world.in_force()
        async with self.open(world, Access.WRITE) as okta:
            planned_change = await okta.plan("suspend_user", {"user": "x.held"}, ActionCall.bare())
            assert planned_change["changed"] is False
            await okta.apply("suspend_user", planned_change, ActionCall.bare())
            await okta.undo("suspend_user", planned_change, ActionCall.bare())
        assert (world.in_force(), world.effects) == (before, [])

    async def test_deactivated_user_needs_no_suspension(self) -> None:
        async with self.open(self.make_world(), Access.READ) as okta:
            assert (await okta.plan("suspend_user", {"user": "k.gone"}, ActionCall.bare()))[
                "changed"
            ] is False

    async def test_locked_out_user_is_rejected_with_the_fix(self) -> None:
        async with self.open(self.make_world(), Access.READ) as okta:
            with pytest.raises(Rejected, match=r"LOCKED_OUT.*unlock"):
                await okta.plan("suspend_user", {"user": "s.lee"}, ActionCall.bare())

    async def test_status_change_since_the_plan_is_rejected(self) -> None:
        world = self.make_world()
        async with self.open(world, Access.WRITE) as okta:
            planned_change = await okta.plan("suspend_user", {"user": "j.doe"}, ActionCall.bare())
            world.users[planned_change["user"]]["status"] = "DEPROVISIONED"
            with pytest.raises(Rejected, match="DEPROVISIONED"):
                await okta.apply("suspend_user", planned_change, ActionCall.bare())

    async def test_sessions_ended_by_another_call_do_not_count(self) -> None:
        world = self.make_world()
        async with self.open(world, Access.WRITE, **self.patience()) as okta:
            planned_change = await okta.plan(
                "end_sessions", {"user": "j.doe"}, ActionCall.bare("other")
            )
            await okta.apply("end_sessions", planned_change, ActionCall.bare("other"))
            assert (await okta.plan("end_sessions", {"user": "j.doe"}, ActionCall.bare()))[
                "changed"
            ] is True
            assert not await okta.verify(
                "end_sessions",
                {"user": "m.ross"},
                {**planned_change, "user": "00u00000000000000002"},
                {},
                ActionCall.bare("other"),
            )

    async def test_wait_follows_the_reset_header(self) -> None:
        world = self.make_world()
        world.remaining = 0
        async with self.open(world, Access.READ) as okta:
            with pytest.raises(Unavailable) as caught:
                await okta.read("find_user", {"user": "j.doe"}, ActionCall.bare())
        assert caught.value.retry_after is not None
        assert timedelta(seconds=30) < caught.value.retry_after <= timedelta(seconds=40)

    async def test_missing_permission_differs_from_a_suspended_user(
        self,
    ) -> None:
        world = self.make_world()
        async with self.open(world, Access.WRITE) as okta:
            planned_change = await okta.plan("suspend_user", {"user": "j.doe"}, ActionCall.bare())
            world.inject(kind="status", status=403)
            with pytest.raises(Rejected, match="credential may not suspend"):
                await okta.apply("suspend_user", planned_change, ActionCall.bare())


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (
            {"X-Rate-Limit-Reset": "1700000042", "Date": "Tue, 14 Nov 2023 22:13:20 GMT"},
            timedelta(seconds=42),
        ),
        (
            {"X-Rate-Limit-Reset": "1699999999", "Date": "Tue, 14 Nov 2023 22:13:20 GMT"},
            timedelta(0),
        ),
        (
            {"X-Rate-Limit-Reset": "99999999999", "Date": "Tue, 14 Nov 2023 22:13:20 GMT"},
            timedelta(hours=1),
        ),
        ({"X-Rate-Limit-Reset": "soon"}, None),
        ({}, None),
    ],
)
def test_wait_is_computed_by_the_clock_of_the_reply(
    headers: dict[str, str], expected: timedelta | None
) -> None:
    reply = HttpReply(
        429,
        httpx.Headers(headers),
        b"",
        httpx.Request("GET", "https://corp.okta.example/"),
        writes=False,
    )
    assert rate_limit_wait(reply) == expected
