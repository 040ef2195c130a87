"""An administrator who wants to approve alone: by a person, key, group, contact or policy made up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from orchestrator.access import enrolment, keys, people
from orchestrator.approvals.break_glass import break_glass
from orchestrator.approvals.review import review
from orchestrator.domain.access import Permission, PersonKind, Principal, Role
from orchestrator.domain.approval import ReviewState
from orchestrator.domain.errors import Conflict, Forbidden, Invalid
from orchestrator.notifications.contacts import decision_principal, save_contact
from orchestrator.policy import policies
from tests.harness.approval_rows import ADA, Desk, desk
from tests.harness.people import add_key

ADMIN = "person:admin"


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[Desk]:
    """A desk whose policy makes new approvers wait for a day, with one pending approval."""
    async with desk(tmp_path) as made:
        made.pass_time(days=-2)
        await policies.publish_policy(made.rt, "{}", actor="system")
        await add_key(made.rt, "paul", [Role.APPROVER])
        made.pass_time(days=2)
        await made.ask()
        yield made


async def enter(
    at: Desk, person: str, roles: Sequence[Role] = (Role.APPROVER,), *, add: bool = True
) -> Principal:
    """Make a key as an admin does, receive it, and return who it stands for."""
    if add:
        await people.add_person(at.rt, person, actor=ADMIN)
    made = await keys.create_key(at.rt, person, roles, actor=ADMIN)
    received = await enrolment.enrol(at.rt, made.enrolment_code or "", None)
    return await keys.authenticate_key(at.rt, received.token)


@pytest.mark.attack(
    "an admin makes up a person, and approves their own run as them",
    before="approved: the change was applied",
)
async def test_new_person_may_decline_but_not_approve_for_a_day(at: Desk) -> None:
    ghost = await enter(at, "ghost1", [Role.ADMIN])
    with pytest.raises(Forbidden, match="new approver"):
        await at.decide(ghost)
    with pytest.raises(Forbidden, match="new approver"):
        await break_glass(at.rt, None, "apr_1", ghost, "d", "no one else is awake")
    assert len(await at.events("approval:decision:refused")) == 2
    assert (await at.decide(ghost, "decline")).state == "declined"


async def test_new_person_approves_after_the_wait(at: Desk) -> None:
    ann = await enter(at, "ann")
    at.pass_time(days=1)
    await at.ask("apr_2", asked_at=at.now[0], expires_at=at.now[0] + timedelta(hours=1))
    with pytest.raises(Conflict, match="expired"):  # no longer: Forbidden
        await at.decide(ann)


@pytest.mark.attack(
    "an admin makes a second key for another person, and approves as them",
    before="approved in that person's name",
)
async def test_new_key_of_an_old_person_does_not_approve_at_once(at: Desk) -> None:
    with pytest.raises(Forbidden, match="new approver"):
        await at.decide(await enter(at, "paul", add=False))


@pytest.mark.attack(
    "one person approves twice, with two keys in two spellings",
    before="two of a quorum of two",
)
async def test_two_keys_are_one_person_in_any_spelling(at: Desk) -> None:
    await at.ask("apr_2", quorum=2)
    principals = []
    for spelling in ("paul", " PAUL"):
        _, token = await keys.mint_key(at.rt, spelling, [Role.APPROVER], actor="system")
        principals.append(await keys.authenticate_key(at.rt, token.get_secret_value()))
    assert {each.person for each in principals} == {"paul"}
    await at.decide(principals[0])
    with pytest.raises(Conflict, match="already decided"):
        await at.decide(principals[1])


@pytest.mark.parametrize("name", ["раul", "pau\u200bl", "ｐaul", "paul\n", "pa ul", ""])
async def test_name_that_only_looks_like_another_is_refused(at: Desk, name: str) -> None:
    if name.strip() == "paul":
        with pytest.raises(Conflict):
            await people.add_person(at.rt, name, actor=ADMIN)
    else:
        with pytest.raises(Invalid):
            await people.add_person(at.rt, name, actor=ADMIN)


@pytest.mark.attack(
    "an admin puts a willing person into the group that is asked",
    before="approved for the group at once",
)
async def test_new_member_does_not_approve_for_the_group(at: Desk) -> None:
    await at.ask("apr_2", by_group="leads")
    _, token = await keys.mint_key(at.rt, "paul", [Role.APPROVER], actor="system")
    await people.change_person(at.rt, "paul", groups=["leads"], actor=ADMIN)
    paul = await keys.authenticate_key(at.rt, token.get_secret_value())
    assert paul.groups == ("leads",)
    assert paul.approver_since(None) is None
    assert paul.approver_since("leads") == at.now[0]
    await people.change_person(at.rt, "paul", groups=["leads", "other"], actor=ADMIN)
    at.pass_time(hours=1)
    again = await keys.authenticate_key(at.rt, token.get_secret_value())
    assert again.approver_since("leads") == paul.approver_since("leads")


@pytest.mark.attack(
    "an admin sets a person's contact to an own address, and approves by the link",
    before="approved in that person's name",
)
async def test_changed_contact_does_not_approve_at_once(at: Desk) -> None:
    await save_contact(at.rt, "paul", "admin@corp.example", None, actor=ADMIN)
    async with at.rt.store.read() as session:
        paul = await decision_principal(session, "paul", at.now[0])
    assert paul is not None
    with pytest.raises(Forbidden, match="new approver"):
        await at.decide(paul)


@pytest.mark.attack(
    "an admin publishes a policy without a wait, and approves as a new person",
    before="nothing waited",
)
async def test_shorter_wait_is_for_those_who_come_later(at: Desk) -> None:
    ghost = await enter(at, "ghost1")
    at.pass_time(minutes=1)
    await policies.publish_policy(at.rt, "approvals: {new_approvers_wait: 0s}", actor=ADMIN)
    with pytest.raises(Forbidden, match="new approver"):
        await at.decide(ghost)
    at.pass_time(minutes=1)
    assert (await at.decide(await enter(at, "later"))).state == "approved"


@pytest.mark.attack(
    "an admin approves alone, and reviews it as a person made up", before="accepted"
)
async def test_new_person_does_not_review_a_break_glass(at: Desk) -> None:
    await break_glass(at.rt, None, "apr_1", ADA, "d", "no one else is awake")
    with pytest.raises(Forbidden, match="new approver"):
        await review(at.rt, "apr_1", await enter(at, "ghost1", [Role.ADMIN]), ReviewState.ACCEPTED)


@pytest.mark.attack("a service's key approves", before="as any key")
async def test_service_approves_nothing(at: Desk) -> None:
    await people.add_person(at.rt, "ci", kind=PersonKind.SERVICE, actor=ADMIN)
    with pytest.raises(Invalid, match="a service approves nothing"):
        await keys.create_key(at.rt, "ci", [Role.APPROVER], actor=ADMIN)
    at.pass_time(minutes=1)
    service = await enter(at, "ci", [Role.ANALYST], add=False)
    assert Permission.APPROVAL_DECIDE not in service.permissions
    with pytest.raises(Forbidden, match="lacks permission approval:decide"):
        await at.decide(service)


@pytest.mark.attack(
    "an admin confirms a key that decides and that they asked for", before="one admin sufficed"
)
async def test_key_that_decides_takes_two_admins_where_the_policy_wants_it(at: Desk) -> None:
    await policies.publish_policy(at.rt, "approvals: {two_admins: true}", actor="system")
    await people.add_person(at.rt, "ann", actor=ADMIN)
    made = await keys.create_key(at.rt, "ann", [Role.APPROVER], actor=ADMIN)
    code = made.enrolment_code or ""
    with pytest.raises(Conflict, match="second admin has not confirmed"):
        await enrolment.enrol(at.rt, code, None)
    first, owner = (
        Principal(key_id="k", person=name, roles=(Role.ADMIN,)) for name in ("Admin", "ann")
    )
    for same in (first, owner, await _new_admin(at)):
        with pytest.raises(Forbidden):
            await keys.confirm_key(at.rt, made.id, same)
    assert (await keys.confirm_key(at.rt, made.id, ADA)).confirmed_by == "person:ada"
    assert (await enrolment.enrol(at.rt, code, None)).person == "ann"
    viewer = await keys.create_key(at.rt, "ann", [Role.VIEWER], actor=ADMIN)
    assert not viewer.needs_confirmation


async def _new_admin(at: Desk) -> Principal:
    return Principal(key_id="k", person="ghost", roles=(Role.ADMIN,), since=at.now[0])


@pytest.mark.attack("add a group to a person in the database", before="there were no people")
async def test_person_whose_groups_were_edited_is_refused(at: Desk) -> None:
    _, token = await keys.mint_key(at.rt, "paul", [Role.APPROVER], actor="system")
    async with at.rt.store.write() as session:
        await session.execute(text("""UPDATE people SET groups = '{"leads": {}}'"""))
    with pytest.raises(Forbidden):
        await keys.authenticate_key(at.rt, token.get_secret_value())


async def test_disabled_person_can_do_nothing_and_counts_as_new_afterwards(at: Desk) -> None:
    _, token = await keys.mint_key(at.rt, "paul", [Role.APPROVER], actor="system")
    await save_contact(at.rt, "paul", "paul@corp.example", None, actor="system")
    await people.change_person(at.rt, "paul", disabled=True, actor=ADMIN)
    with pytest.raises(Forbidden):
        await keys.authenticate_key(at.rt, token.get_secret_value())
    async with at.rt.store.read() as session:
        assert await decision_principal(session, "paul", at.now[0]) is None
    at.pass_time(minutes=1)
    await people.change_person(at.rt, "paul", disabled=False, actor=ADMIN)
    paul = await keys.authenticate_key(at.rt, token.get_secret_value())
    with pytest.raises(Forbidden, match="new approver"):
        await at.decide(paul)


async def test_claims_of_an_identity_provider_are_groups_that_keep_their_date(at: Desk) -> None:
    identity = people.ProviderIdentity(issuer="https://login.corp.example", subject="00u1")
    await people.change_person(at.rt, "paul", identities=[identity], actor=ADMIN)
    await people.record_claims(at.rt, identity, ["leads"])
    at.pass_time(hours=2)
    found = await people.record_claims(at.rt, identity, ["leads", "night-shift"])
    assert found.groups["leads"].by == "issuer:https://login.corp.example"
    assert found.groups["night-shift"].joined_at - found.groups["leads"].joined_at == timedelta(
        hours=2
    )
    with pytest.raises(Conflict):
        await people.add_person(at.rt, "other", identities=[identity], actor=ADMIN)
    assert (await people.record_claims(at.rt, identity, [])).groups == {}
