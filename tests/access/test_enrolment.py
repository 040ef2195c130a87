"""A key is shown once, to its person; the admin who asks for it never sees it."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.access import enrolment, keys, people
from orchestrator.access.key_views import CreatedKey
from orchestrator.domain.access import Role
from orchestrator.domain.errors import Conflict, Forbidden, Invalid, NotFound
from orchestrator.notifications.contacts import save_contact
from orchestrator.notifications.one_time_links import new_link
from orchestrator.notifications.sender import send_due
from tests.harness.approval_rows import Desk, desk
from tests.harness.mail_server import MailServer

ADMIN = "person:admin"


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk(tmp_path) as made:
        await people.add_person(made.rt, "ann", actor=ADMIN)
        yield made


async def create(at: Desk, networks: list[str] | None = None) -> CreatedKey:
    return await keys.create_key(at.rt, "ann", [Role.VIEWER], networks=networks, actor=ADMIN)


async def test_code_works_once_and_the_token_is_stored_nowhere(at: Desk) -> None:
    made = await create(at)
    assert not hasattr(made, "token")
    received = await enrolment.enrol(at.rt, made.enrolment_code or "", "10.1.2.3")
    assert (await keys.authenticate_key(at.rt, received.token)).person == "ann"
    with pytest.raises(NotFound, match="was used"):
        await enrolment.enrol(at.rt, made.enrolment_code or "", "10.1.2.3")
    (event,) = await at.events("access:key:enrolled")
    assert (event.actor, event.subject) == ("person:ann", made.id)
    for each in await at.events("access:key:created"):
        assert received.token not in str(each) and (made.enrolment_code or "x") not in str(each)


async def test_key_is_not_accepted_before_it_is_received(at: Desk) -> None:
    made = await create(at)
    with pytest.raises(Forbidden):
        await keys.authenticate_key(at.rt, f"tocsin_{made.id}_{'0' * 64}")


async def test_code_ends_after_three_days_and_with_the_key(at: Desk) -> None:
    late, revoked = await create(at), await create(at)
    await keys.revoke_key(at.rt, revoked.id, actor=ADMIN)
    at.pass_time(hours=73)
    for made, reason in ((late, "time to receive"), (revoked, "revoked")):
        with pytest.raises(Conflict, match=reason):
            await enrolment.enrol(at.rt, made.enrolment_code or "", None)
    assert len(await at.events("access:enrolment:refused")) == 2


async def test_keys_expire_by_default(at: Desk) -> None:
    made = await create(at)
    assert made.expires_at == made.created_at + timedelta(days=90)


@pytest.mark.attack("use a key from another network than its own", before="keys had no network")
async def test_key_is_accepted_from_its_networks_only(at: Desk) -> None:
    made = await create(at, ["10.20.0.0/16", "2001:db8::/32"])
    with pytest.raises(Forbidden, match="not for"):
        await enrolment.enrol(at.rt, made.enrolment_code or "", "10.30.0.1")
    token = (await enrolment.enrol(at.rt, made.enrolment_code or "", "10.20.0.1")).token
    for address in ("10.20.255.1", "::ffff:10.20.0.1", "2001:db8::1%eth0"):
        assert (await keys.authenticate_key(at.rt, token, address)).person == "ann"
    for address in ("10.21.0.1", "::1", None, "x"):
        with pytest.raises(Forbidden):
            await keys.authenticate_key(at.rt, token, address)
    with pytest.raises(Invalid, match="networks"):
        await create(at, ["10.20.0.1/16"])


@pytest.mark.attack("an admin keeps the key that was made for a person", before="the API showed it")
async def test_where_mail_reaches_the_person_the_admin_sees_no_code(tmp_path: Path) -> None:
    async with MailServer() as mail, desk(tmp_path) as at:
        given = {
            "public_url": "https://tocsin.example/soc",
            "smtp_url": mail.url,
            "mail_from": "tocsin@soc.example",
        }
        settings = at.rt.settings.load(data_dir=at.rt.settings.data_dir, **given)
        object.__setattr__(at.rt, "settings", settings)
        await people.add_person(at.rt, "ann", actor=ADMIN)
        await save_contact(at.rt, "ann", "ann@corp.example", None, actor=ADMIN)
        made = await create(at)
        assert (made.enrolment_code, made.enrolment_url) == (None, None)
        await send_due(at.rt)
        (sent,) = mail.taken
        body = sent.get_body(("plain",))
        assert body is not None
        link = re.search(r"https://tocsin\.example/soc/e/(\S+)", body.get_content())
        assert link is not None
        assert (await enrolment.enrol(at.rt, link[1], None)).person == "ann"


def test_code_is_no_option_where_it_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter([f"-{'a' * 42}", f"--{'a' * 41}", "b" * 43])
    monkeypatch.setattr(secrets, "token_urlsafe", lambda _bytes: next(drawn))
    assert new_link().token.get_secret_value() == "b" * 43
