"""What the Okta connector keeps beyond the contract: who was suspended before stays so, and one user has one name."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

import httpx
import pytest

from connectors.okta.connector import Okta
from connectors.okta.emulator import OktaEmulator
from connectors.okta.org import rate_limit_wait
from connectors.sdk.call import Call
from connectors.sdk.contract import HttpConnectorContract, Sample
from connectors.sdk.http import Access
from connectors.sdk.reply import Reply
from orchestrator.domain.errors import Rejected, Unavailable

JANE = "j.doe@corp.example"


class TestOkta(HttpConnectorContract):
    """Every promise of the contract."""

    connector = Okta
    emulator = OktaEmulator
    samples: ClassVar[dict[str, Sample]] = {
        "find_user": Sample({"user": "j.doe"}),
        "suspend_user": Sample({"user": "j.doe"}),
        "unsuspend_user": Sample({"user": "x.held"}),
        "end_sessions": Sample({"user": "j.doe"}),
    }

    def world(self) -> OktaEmulator:
        """A fresh emulator."""
        return OktaEmulator()

    def patience(self) -> dict[str, Any]:
        """Does not wait for a System Log that never says it."""
        return {"log_wait_seconds": 0}

    async def test_a_user_is_shown_with_status_and_groups(self) -> None:
        async with self.open(self.world(), Access.READ) as okta:
            found = await okta.read("find_user", {"user": "a.admin"}, Call.bare())
        assert (found["login"], found["status"], found["groups"]) == (
            "a.admin@corp.example",
            "active",
            ["Everyone", "Domain Admins"],
        )

    @pytest.mark.parametrize("name", ["j.doe", "J.Doe@corp.example", "CORP\\j.doe", "corp\\J.DOE"])
    async def test_one_user_is_one_target_however_the_alert_spells_them(self, name: str) -> None:
        async with self.open(self.world(), Access.READ) as okta:
            planned_change = await okta.plan("suspend_user", {"user": name}, Call.bare())
        assert planned_change["target"] == {"type": "user", "value": JANE}

    @pytest.mark.parametrize(
        "name", ["EVIL\\j.doe", "nobody", "me", "j.doe/sessions", "..", "CORP\\", "CORP\\me/x"]
    )
    async def test_a_name_that_is_no_user_of_ours_is_rejected(self, name: str) -> None:
        world = self.world()
        async with self.open(world, Access.READ) as okta:
            for action in ("suspend_user", "end_sessions"):
                with pytest.raises(Rejected):
                    await okta.plan(action, {"user": name}, Call.bare())

    async def test_who_was_suspended_before_stays_suspended_when_we_take_back(self) -> None:
        world = self.world()
        before = world.in_force()
        async with self.open(world, Access.WRITE) as okta:
            planned_change = await okta.plan("suspend_user", {"user": "x.held"}, Call.bare())
            assert planned_change["changed"] is False
            await okta.apply("suspend_user", planned_change, Call.bare())
            await okta.undo("suspend_user", planned_change, Call.bare())
        assert (world.in_force(), world.effects) == (before, [])

    async def test_who_is_deactivated_has_nothing_left_to_suspend(self) -> None:
        async with self.open(self.world(), Access.READ) as okta:
            assert (await okta.plan("suspend_user", {"user": "k.gone"}, Call.bare()))[
                "changed"
            ] is False

    async def test_who_is_locked_out_cannot_be_suspended_and_the_mend_is_told(self) -> None:
        async with self.open(self.world(), Access.READ) as okta:
            with pytest.raises(Rejected, match=r"LOCKED_OUT.*unlock"):
                await okta.plan("suspend_user", {"user": "s.lee"}, Call.bare())

    async def test_a_status_that_changed_since_the_plan_is_rejected(self) -> None:
        world = self.world()
        async with self.open(world, Access.WRITE) as okta:
            planned_change = await okta.plan("suspend_user", {"user": "j.doe"}, Call.bare())
            world.users[planned_change["user"]]["status"] = "DEPROVISIONED"
            with pytest.raises(Rejected, match="DEPROVISIONED"):
                await okta.apply("suspend_user", planned_change, Call.bare())

    async def test_another_clearing_of_sessions_is_not_taken_for_ours(self) -> None:
        world = self.world()
        async with self.open(world, Access.WRITE, **self.patience()) as okta:
            planned_change = await okta.plan("end_sessions", {"user": "j.doe"}, Call.bare("other"))
            await okta.apply("end_sessions", planned_change, Call.bare("other"))
            assert (await okta.plan("end_sessions", {"user": "j.doe"}, Call.bare()))[
                "changed"
            ] is True
            assert not await okta.verify(
                "end_sessions",
                {"user": "m.ross"},
                {**planned_change, "user": "00u00000000000000002"},
                {},
                Call.bare("other"),
            )

    async def test_a_used_up_rate_limit_says_when(self) -> None:
        world = self.world()
        world.remaining = 0
        async with self.open(world, Access.READ) as okta:
            with pytest.raises(Unavailable) as caught:
                await okta.read("find_user", {"user": "j.doe"}, Call.bare())
        assert caught.value.retry_after is not None
        assert timedelta(seconds=30) < caught.value.retry_after <= timedelta(seconds=40)

    async def test_a_token_that_may_not_suspend_is_told_apart_from_a_user_who_is_suspended(
        self,
    ) -> None:
        world = self.world()
        async with self.open(world, Access.WRITE) as okta:
            planned_change = await okta.plan("suspend_user", {"user": "j.doe"}, Call.bare())
            world.inject(kind="status", status=403)
            with pytest.raises(Rejected, match="credential may not suspend"):
                await okta.apply("suspend_user", planned_change, Call.bare())


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
def test_the_wait_is_told_by_the_vendors_own_clock(
    headers: dict[str, str], expected: timedelta | None
) -> None:
    reply = Reply(
        429,
        httpx.Headers(headers),
        b"",
        httpx.Request("GET", "https://corp.okta.example/"),
        writes=False,
    )
    assert rate_limit_wait(reply) == expected
