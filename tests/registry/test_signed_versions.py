"""Signatures: a version runs only as its author and a reviewer signed it, with trusted keys."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.crypto.signing import SigningKey
from orchestrator.domain.errors import Conflict, Forbidden, Invalid
from orchestrator.playbook.plan import Plan
from orchestrator.registry import signatures, trust
from orchestrator.registry.bundle import make_bundle, read_bundle
from orchestrator.registry.publish import PlaybookFiles, publish_playbook
from orchestrator.registry.statement import Role, SignedStatement, sign
from orchestrator.registry.trust import start_objection
from orchestrator.runtime import Runtime
from orchestrator.store.tables import PlaybookRow, SigningKeyRow
from tests.harness.databases import edit_rows, opened

ADMIN = "person:admin"
PLAYBOOK = """
playbook: say
version: 1
title: Say it
owner: soc
steps:
  - {id: tell, use: chat.post, with: {channel: soc, text: hello}}
"""


@pytest.fixture
async def rt(tmp_path: Path) -> AsyncIterator[Runtime]:
    async with opened(tmp_path, None) as [runtime]:
        demanding = dataclasses.replace(
            runtime, settings=runtime.settings.model_copy(update={"require_signed": True})
        )
        await publish_playbook(
            runtime,
            PLAYBOOK,
            "say.yaml",
            actor="person:ann",
            files=PlaybookFiles(tests="cases: []", files={"a": "YQ=="}),
        )
        yield demanding


class Signers:
    """Ann writes, Bob reviews; each with a key that is believed."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self.keys: dict[str, SigningKey] = {}

    async def known(self, person: str) -> SigningKey:
        key = self.keys[person] = SigningKey.new()
        await trust.add_signing_key(self._rt, person, key.public.hex, actor=ADMIN)
        return key

    async def signs(self, person: str, role: Role, **changed: Any) -> signatures.SignatureStatus:
        said = await signatures.statement_to_sign(self._rt, "say", 1, role, person)
        given = sign(said.model_copy(update=changed), self.keys[person])
        return await signatures.add_signature(self._rt, "say", 1, given, actor=f"person:{person}")


@pytest.fixture
async def people(rt: Runtime) -> Signers:
    found = Signers(rt)
    await found.known("ann")
    await found.known("bob")
    return found


@pytest.fixture
async def signed(people: Signers) -> Signers:
    await people.signs("ann", "author")
    await people.signs("bob", "reviewer")
    return people


async def why_not(rt: Runtime) -> str | None:
    async with rt.store.read() as session:
        [row] = await session.scalars(select(PlaybookRow))
        return await start_objection(session, rt.settings, row, row.digest)


async def edit_all(rt: Runtime, table: type[Any], **values: Any) -> None:
    """As a process that holds the keys of rows, and is compromised."""
    async with rt.store.write() as session:
        await edit_rows(session, table, **values)


async def alter(rt: Runtime, *statements: Any) -> None:
    """As one who can edit the database."""

    async def run(session: AsyncSession) -> None:
        for statement in statements:
            await session.execute(statement)

    async with rt.store.write() as session:
        await run(session)


async def test_version_signed_by_author_and_reviewer_runs(rt: Runtime, signed: Signers) -> None:
    assert await why_not(rt) is None


async def test_unsigned_version_does_not_run(rt: Runtime, people: Signers) -> None:
    assert "the author has not signed it" in str(await why_not(rt))
    found = await people.signs("ann", "author")
    assert found.missing == (
        "no one other than the author has signed a review (`tocsin playbook sign --as reviewer`)",
    )
    assert "no one other than the author has signed a review" in str(await why_not(rt))


async def test_review_by_the_author_does_not_count(rt: Runtime, people: Signers) -> None:
    await people.signs("ann", "author")
    await people.known("Ann")
    found = await people.signs("Ann", "reviewer")
    assert found.missing


async def test_altered_plan_does_not_run(rt: Runtime, signed: Signers) -> None:
    async with rt.store.read() as session:
        [row] = await session.scalars(select(PlaybookRow))
    changed = {**row.plan, "title": "Say something else"}
    await edit_all(rt, PlaybookRow, plan=changed)
    assert "was altered in the database" in str(await why_not(rt))


async def test_altered_plan_does_not_run_without_required_signatures(
    rt: Runtime,
) -> None:
    async with rt.store.read() as session:
        [row] = await session.scalars(select(PlaybookRow))
    await edit_all(rt, PlaybookRow, plan={**row.plan, "owner": "mallory"})
    relaxed = dataclasses.replace(
        rt, settings=rt.settings.model_copy(update={"require_signed": False})
    )
    assert "was altered in the database" in str(await why_not(relaxed))


async def test_plan_and_digest_altered_together_are_not_signed(
    rt: Runtime, signed: Signers
) -> None:
    async with rt.store.read() as session:
        [row] = await session.scalars(select(PlaybookRow))
    plan = Plan.model_validate({**row.plan, "title": "Say something else"})
    await edit_all(rt, PlaybookRow, plan=plan.model_dump(mode="json"), digest=plan.digest)
    assert "is not over this version and its tests" in str(await why_not(rt))


async def test_altered_tests_invalidate_the_signature(rt: Runtime, signed: Signers) -> None:
    await edit_all(rt, PlaybookRow, tests="cases: [nothing]")
    assert "is not over this version and its tests" in str(await why_not(rt))


async def test_revoked_key_is_not_trusted(rt: Runtime, signed: Signers) -> None:
    await trust.revoke_signing_key(rt, signed.keys["bob"].id, actor=ADMIN)
    assert "revoked" in str(await why_not(rt))


async def test_key_added_in_the_database_is_not_trusted_with_pinned_signers(
    rt: Runtime, signed: Signers, tmp_path: Path
) -> None:
    pins = tmp_path / "signers"
    pins.write_text(
        f"# who may sign\nann {signed.keys['ann'].public.hex}\nbob {signed.keys['bob'].public.hex}\n",
        "utf-8",
    )
    pinned = dataclasses.replace(
        rt, settings=rt.settings.model_copy(update={"trusted_signers_file": pins})
    )
    assert await why_not(pinned) is None
    pins.write_text(f"ann {signed.keys['ann'].public.hex}\n", "utf-8")
    assert "not trusted here" in str(await why_not(pinned))
    pins.write_text("ann\n", "utf-8")
    with pytest.raises(Invalid, match=r"signers:1: write a person and the 64 hex digits"):
        await why_not(pinned)


async def test_key_renamed_in_the_database_is_not_trusted(rt: Runtime, signed: Signers) -> None:
    async with rt.store.write() as session:
        row = await session.get(SigningKeyRow, signed.keys["bob"].id)
        assert row is not None
        row.person = "carol"
    assert "which belongs to carol" in str(await why_not(rt))


@pytest.mark.parametrize(
    "changed", [{"version": 2}, {"digest": "0" * 64}, {"tests": "0" * 64}, {"name": "other"}]
)
async def test_signature_over_other_content_is_refused(
    people: Signers, changed: dict[str, Any]
) -> None:
    with pytest.raises(Forbidden, match="is not over say version 1"):
        await people.signs("ann", "author", **changed)


async def test_signature_in_another_persons_name_is_refused(rt: Runtime, people: Signers) -> None:
    said = await signatures.statement_to_sign(rt, "say", 1, "author", "bob")
    with pytest.raises(Forbidden, match="not trusted here as bob's"):
        await signatures.add_signature(rt, "say", 1, sign(said, people.keys["ann"]), actor=ADMIN)


async def test_second_signature_and_shared_key_are_conflicts(rt: Runtime, signed: Signers) -> None:
    with pytest.raises(Conflict, match="already signed say version 1 as author"):
        await signed.signs("ann", "author")
    with pytest.raises(Conflict, match="belongs to ann"):
        await trust.add_signing_key(rt, "carol", signed.keys["ann"].public.hex, actor=ADMIN)


async def test_bundle_holds_version_tests_files_and_signatures(
    rt: Runtime, signed: Signers
) -> None:
    found = read_bundle((await make_bundle(rt, "say", 1)).model_dump_json().encode(), "say.json")
    assert (found.tests, found.files, {each.role for each in found.signatures}) == (
        "cases: []",
        {"a": "YQ=="},
        {"author", "reviewer"},
    )
    assert found.statement == SignedStatement(
        name="say",
        version=1,
        digest=found.digest,
        tests=found.statement.tests,
        role="author",
        person="",
    )


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"name": "x"}', b'{"format": "tocsin-bundle/2"}', b"\xff"]
)
async def test_invalid_bundle_is_refused(content: bytes) -> None:
    with pytest.raises(Invalid, match=r"say\.json: not a bundle"):
        read_bundle(content, "say.json")
