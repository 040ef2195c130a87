"""Hand-overs: the other group is notified, and what the first group was sent decides nothing more."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchestrator.approvals.hand_over import hand_over
from orchestrator.domain.access import Principal, Role
from orchestrator.notifications import contacts
from orchestrator.policy import policies
from tests.harness.notification_world import World
from tests.harness.people import add_key
from tests.notifications.test_floods import deliver, mails, start

BOB = Principal(key_id="k2", person="bob", roles=(Role.APPROVER,), groups=("leads",))


@pytest.fixture
async def shift(world: World) -> World:
    """A world in which the leads may hand over to the night, which is Noa."""
    policy = "approvals: {hand_over: {leads: [night]}}"
    await policies.publish_policy(world.rt, policy, actor="system")
    await add_key(
        world.rt, "noa", (Role.APPROVER,), groups=("night",), expires_in=timedelta(days=1)
    )
    await contacts.save_contact(world.rt, "noa", "noa@corp.example", None, actor="system")
    return world


async def hand(world: World, approval_id: str) -> None:
    await hand_over(world.rt, approval_id, BOB, "night", "the end of our shift")
    await deliver(world)


async def test_the_other_group_decides_by_mail_in_the_place_of_the_first(shift: World) -> None:
    await shift.ask()
    link = shift.link()
    await hand(shift, "apr_1")
    assert (await shift.browser.get(link)).status_code == 410
    mail = mails(shift, "noa")[-1].get_body(("plain",)).get_content()
    assert "from leads by bob" in mail
    assert (await shift.post(shift.link("noa"))).status_code == 200
    assert await shift.state() == "approved"


async def test_the_message_about_a_batch_ends_with_the_last_approval_in_it(shift: World) -> None:
    first, *others = await start(shift, 3)
    shift.later(minutes=1)
    await deliver(shift)
    link = shift.link()  # of the message about the batch
    await hand(shift, first.approval_id)
    await hand(shift, others[0].approval_id)
    page = await shift.browser.get(link)
    assert page.status_code == 200
    assert others[1].approval_id in page.text and others[0].approval_id not in page.text
    await hand(shift, others[1].approval_id)
    assert (await shift.browser.get(link)).status_code == 410
    assert len(mails(shift, "noa")) == 3
