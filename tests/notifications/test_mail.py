"""Mails: the right recipients, the whole approval, nothing hostile, and retries."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.access import Permission, Role
from orchestrator.domain.approval import ApprovalState
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Rejected, Unavailable
from orchestrator.domain.incident import TaskKind
from orchestrator.domain.notification import NotificationKind
from orchestrator.notifications.contacts import save_contact
from orchestrator.notifications.email import send_mail
from orchestrator.notifications.outbox import notify_approvers, notify_task
from orchestrator.notifications.sender import send_due, send_until
from orchestrator.notifications.templates import MailBody, addressed
from orchestrator.settings import Settings
from orchestrator.store.queries import approvals
from orchestrator.store.tables import TaskRow
from tests.harness.certificates import certificate_for
from tests.harness.mail_server import MailServer
from tests.harness.notification_world import World
from tests.harness.people import add_key

MAIL = MailBody(subject="Block it?", text="Block it?\n", html="<p>Block it?</p>")


def message(subject: str = "Block it?") -> Any:
    mail = MAIL.model_copy(update={"subject": subject})
    return addressed(
        mail,
        sender="tocsin@soc.example",
        to="ann@corp.example",
        notification_id="ntc_1",
        now=datetime(2026, 3, 4, tzinfo=UTC),
    )


async def test_only_members_of_the_group_who_may_decide_are_notified(world: World) -> None:
    await add_key(world.rt, "mia", (Role.ADMIN,), groups=("others",), actor="system")
    await add_key(world.rt, "eve", (Role.APPROVER,), scopes=(Permission.READ,), actor="system")
    await save_contact(world.rt, "mia", "mia@corp.example", None, actor="system")
    await world.ask()
    assert sorted(mail["To"] for mail in world.mail.taken) == [
        "ann@corp.example",
        "bob@corp.example",
    ]
    assert {row.state for row in await world.notifications()} == {"sent"}


async def test_a_mail_holds_question_changes_expiry_and_link(world: World) -> None:
    await world.ask(reasons=["the host is critical"])
    text: Any = world.mail.taken[0].get_body(("plain",))
    for part in (
        "Block it?",
        "firewall.block_address on address 198.51.100.7: “Tag it”",
        "the host is critical",
        "until 2026-03-04 05:21 UTC",
    ):
        assert part in text.get_content()
    html: Any = world.mail.taken[0].get_body(("html",))
    assert world.link(which=0)[:10] in html.get_content() or "/a/" in html.get_content()
    assert world.mail.taken[0]["Auto-Submitted"] == "auto-generated"


@pytest.mark.parametrize(
    "end", ["\r\n", "\n", "\r", "\x0b", "\x0c", "\x85", "\u2028", "\u2029", "\x00"]
)
async def test_a_question_cannot_add_a_header_or_a_recipient(world: World, end: str) -> None:
    await world.ask(question=f"Block?{end}Bcc: eve@evil.example{end}{end}<b>body</b>" + "x" * 500)
    for mail in world.mail.taken:
        assert mail["Bcc"] is None
        assert len(mail["Subject"]) <= 120
    assert b"\nBcc:" not in b"".join(raw.partition(b"\r\n\r\n")[0] for raw in world.mail.raw)


async def test_the_token_is_only_in_the_mail(world: World) -> None:
    await world.ask()
    await world.browser.get(world.link())
    await world.post(world.link())
    tokens = [world.link(person).removeprefix("/a/") for person in ("ann", "bob")]
    database = b"".join(
        path.read_bytes() for path in Path(world.rt.settings.data_dir).glob("tocsin.db*")
    )
    for token in tokens:
        assert token.encode() not in database
    for event in [each for kind in EventKind for each in await world.events(kind)]:
        assert "@corp.example" not in str(event)
        assert not any(token in str(event) for token in tokens)


async def test_a_failed_mail_is_retried_with_a_new_link(world: World) -> None:
    world.mail.answers = ["451 not now", "451 not now"]
    await world.ask()
    assert (
        world.mail.taken,
        {row.state for row in await world.notifications(channel="email")},
    ) == ([], {"waiting"})
    first = {row.token_hash for row in await world.notifications(channel="email")}
    await send_due(world.rt)
    assert world.mail.taken == []
    world.later(seconds=30)
    await send_due(world.rt)
    assert len(world.mail.taken) == 2
    assert not first & {row.token_hash for row in await world.notifications(channel="email")}
    assert (await world.post(world.link())).status_code == 200


async def test_a_permanently_refused_mail_has_failed(world: World) -> None:
    world.mail.answers = ["RCPT 550 no such person", "RCPT 550 no such person"]
    await world.ask()
    failed = await world.notifications(state="failed")
    assert [row.error for row in failed] == ["the mail server refuses the recipient (550)"] * 2
    events = await world.events(EventKind.NOTIFICATION_FAILED)
    assert {(event.subject, event.data["attempts"]) for event in events} == {("apr_1", 1)}


async def test_retries_end_after_hours(world: World) -> None:
    await world.mail.__aexit__()
    await world.ask(expires_at=world.now[0] + timedelta(days=1))
    for _ in range(60):
        world.later(minutes=15)
        await send_due(world.rt)
    failed = await world.notifications(channel="email")
    assert {row.state for row in failed} == {"failed"}
    assert all(10 < row.attempts < 40 for row in failed)


async def test_a_decided_or_expired_approval_is_not_sent(world: World) -> None:
    world.mail.answers = ["451 later", "451 later"]
    await world.ask()
    await world.close(state=ApprovalState.APPROVED)
    world.later(minutes=1)
    await send_due(world.rt)
    assert world.mail.taken == []
    assert {row.state for row in await world.notifications(channel="email")} == {"void"}
    world.mail.answers = ["451 later", "451 later"]
    await world.ask(id="apr_2")
    world.later(minutes=16)
    await send_due(world.rt)
    assert {row.state for row in await world.notifications(channel="email", about="apr_2")} == {
        "void"
    }


async def test_two_workers_send_each_mail_once(world: World) -> None:
    await world.ask()
    world.mail.taken.clear()
    async with world.rt.store.write() as session:
        row = await approvals.get(session, "apr_1")
        assert row is not None
        await notify_approvers(session, row, NotificationKind.REMINDER, world.now[0])
    await asyncio.gather(send_due(world.rt), send_due(world.rt), send_due(world.rt))
    assert len(world.mail.taken) == 2
    assert {mail["Subject"] for mail in world.mail.taken} == {"[Tocsin] Still open: Block it?"}


async def test_the_worker_sends_until_it_is_stopped(world: World) -> None:
    stop = asyncio.Event()
    working = asyncio.create_task(send_until(world.rt, stop))
    async with world.rt.store.write() as session:
        task = TaskRow(
            id="task_1",
            kind="stuck_release",
            subject="k1",
            summary="The device refuses the undo",
            to_group="leads",
            opened_at=world.now[0],
        )
        session.add(task)
        await notify_task(session, task, world.now[0])
    async with asyncio.timeout(10):
        while len(world.mail.taken) < 3:
            await asyncio.sleep(0.01)
    stop.set()
    await working
    assert {mail["Subject"] for mail in world.mail.taken} == {
        "[Tocsin] stuck release: The device refuses the undo"
    }


async def test_a_task_without_a_group_goes_to_admins(world: World) -> None:
    await add_key(world.rt, "eve", (Role.ADMIN,), actor="system")
    async with world.rt.store.write() as session:
        task = TaskRow(
            id="task_1", kind=TaskKind.DRIFT, subject="k1", summary="Gone", opened_at=world.now[0]
        )
        session.add(task)
        await notify_task(session, task, world.now[0])
    assert {row.person for row in await world.notifications(about="task_1")} == {"eve"}


async def test_mail_requires_tls_and_a_login(tmp_path: Path) -> None:
    server_side, authority = certificate(tmp_path)
    async with MailServer(server_side, password="hunter2-hunter2") as server:
        settings = Settings.load(data_dir=tmp_path, smtp_url=server.url, smtp_ca_file=authority)
        await send_mail(settings, message())
        assert len(server.taken) == 1
        with pytest.raises(Unavailable, match="TLS"):
            await send_mail(Settings.load(data_dir=tmp_path, smtp_url=server.url), message())
        wrong = server.url.replace("hunter2-", "hunter3-")
        with pytest.raises(Unavailable, match="refuses the user and password") as caught:
            await send_mail(
                Settings.load(data_dir=tmp_path, smtp_url=wrong, smtp_ca_file=authority), message()
            )
        assert "hunter" not in str(caught.value)
    async with MailServer() as plain:
        with pytest.raises(Unavailable, match="TLS"):
            await send_mail(
                Settings.load(data_dir=tmp_path, smtp_url=plain.url.removesuffix("?tls=none")),
                message(),
            )
        assert plain.taken == []


async def test_without_a_server_nothing_is_sent(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="set smtp_url"):
        await send_mail(Settings.load(data_dir=tmp_path), message())


def certificate(folder: Path) -> tuple[Any, Path]:
    """Return a TLS context for 127.0.0.1, and the file of its authority."""
    import ssl

    public, private = certificate_for("127.0.0.1", folder)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(public, private)
    return context, public
