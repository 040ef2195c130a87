"""Promotion: only signed, reviewed and tested bundles are published, exactly as signed."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, get_args

import pytest
from sqlalchemy import select

from orchestrator.authoring.promotion import PromotionCheck, check_promotion, promote
from orchestrator.crypto.signing import SigningKey
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict
from orchestrator.playbook.schema.scaffold import scaffold_texts
from orchestrator.registry import signatures, trust, versions
from orchestrator.registry.bundle import Bundle, make_bundle
from orchestrator.registry.publish import (
    PlaybookFiles,
    list_playbooks,
    publish_playbook,
    retire_playbook,
)
from orchestrator.registry.statement import Role, sign
from orchestrator.registry.trust import start_objection
from orchestrator.runtime import Runtime
from orchestrator.store.tables import AuditEventRow, PlaybookRow
from tests.harness.databases import opened

ADMIN = "person:admin"
TEXTS = scaffold_texts("look-up", "enrichment")
KEYS = {"ann": SigningKey.new(), "bob": SigningKey.new()}


@pytest.fixture
async def places(tmp_path: Path) -> AsyncIterator[tuple[Runtime, Runtime]]:
    """A staging installation that has the version, and a production one that runs signed versions only; both know both keys."""
    async with (
        opened(tmp_path / "s", None) as [staging],
        opened(tmp_path / "p", None) as [production],
    ):
        for rt in (staging, production):
            for person, key in KEYS.items():
                await trust.add_signing_key(rt, person, key.public.hex, actor=ADMIN)
        files = PlaybookFiles(tests=TEXTS["tests.yaml"])
        await publish_playbook(
            staging, TEXTS["playbook.yaml"], "p.yaml", actor="person:ann", files=files
        )
        settings = production.settings.model_copy(
            update={"environment": "production", "require_signed": True}
        )
        yield staging, dataclasses.replace(production, settings=settings)


async def signed_by(rt: Runtime, person: str, role: Role) -> None:
    said = await signatures.statement_to_sign(rt, "look-up", 1, role, person)
    await signatures.add_signature(rt, "look-up", 1, sign(said, KEYS[person]), actor=ADMIN)


async def ready(staging: Runtime) -> Bundle:
    await signed_by(staging, "ann", "author")
    await signed_by(staging, "bob", "reviewer")
    return await make_bundle(staging, "look-up", 1)


def changed(bundle: Bundle, **fields: Any) -> Bundle:
    return Bundle.model_validate({**json.loads(bundle.model_dump_json()), **fields})


async def test_signed_and_tested_version_is_published_and_starts(
    places: tuple[Runtime, Runtime],
) -> None:
    staging, production = places
    bundle = await ready(staging)
    view = await promote(production, bundle, actor=ADMIN)
    assert (view.digest, view.published_by) == (bundle.digest, "person:ann")
    async with production.store.read() as session:
        [row] = await session.scalars(select(PlaybookRow))
        assert await start_objection(session, production.settings, row, row.digest) is None
        kinds = [event.kind for event in await session.scalars(select(AuditEventRow))]
    assert EventKind.PLAYBOOK_PROMOTED in kinds
    assert row.report is not None
    assert row.report["coverage"] >= 90
    await promote(production, bundle, actor=ADMIN)
    assert len(await list_playbooks(production)) == 1


async def test_all_objections_are_named_and_nothing_is_published(
    places: tuple[Runtime, Runtime],
) -> None:
    staging, production = places
    await signed_by(staging, "ann", "author")
    failing = TEXTS["tests.yaml"].replace("status: completed", "status: declined")
    bundle = changed(await make_bundle(staging, "look-up", 1), tests=failing)
    with pytest.raises(Conflict) as refused:
        await promote(production, bundle, actor=ADMIN)
    said = str(refused.value)
    assert (
        "test: the verdict on the address is posted and nothing is changed: status is completed, not declined"
        in said
    )
    assert "is not over this version and its tests" in said
    assert await list_playbooks(production) == ()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"tests": None}, "it has no tests"),
        (
            {
                "tests": "playbook: look-up\ncases:\n  - name: none\n    given: {alert: {severity: 1}}\n    triggers: false\n"
            },
            "its tests cover",
        ),
        ({"digest": "0" * 64}, "was signed"),
        ({"name": "other"}, "not other version 1"),
        (
            {"source": "playbook: look-up\nversion: 1\n"},
            "does not compile with the connections here",
        ),
        ({"signatures": []}, "the author has not signed it"),
        (
            {"source": TEXTS["playbook.yaml"].replace("channel: soc", "channel: sic")},
            "compiled here it has the digest",
        ),
    ],
)
async def test_objection_names_what_differs(
    places: tuple[Runtime, Runtime], fields: dict[str, Any], said: str
) -> None:
    staging, production = places
    check = await check_promotion(production, changed(await ready(staging), **fields))
    assert any(said in each for each in check.objections), check.objections
    assert await list_playbooks(production) == ()


async def test_lint_finding_is_an_objection(places: tuple[Runtime, Runtime]) -> None:
    staging, production = places
    unwise = TEXTS["playbook.yaml"].replace(
        "    on_error: continue          # the message then says that there is no verdict\n", "", 1
    )
    more = unwise.replace(
        "on_failure: stop",
        "  - id: block\n    use: firewall.block_address\n    with: {address: 203.0.113.9}\n\non_failure: stop",
    )
    check = await check_promotion(production, changed(await ready(staging), source=more))
    assert any(
        each.startswith("lint: ") and "contain-without-for" in each for each in check.objections
    )


async def test_one_person_in_both_roles_is_no_review(places: tuple[Runtime, Runtime]) -> None:
    staging, production = places
    await signed_by(staging, "ann", "author")
    await signed_by(staging, "ann", "reviewer")
    check = await check_promotion(production, await make_bundle(staging, "look-up", 1))
    assert check.objections == (
        "no one other than the author has signed a review (`tocsin playbook sign --as reviewer`)",
    )


async def test_unsigned_version_does_not_replace_the_live_one(
    places: tuple[Runtime, Runtime],
) -> None:
    staging, production = places
    await promote(production, await ready(staging), actor=ADMIN)
    unsigned = TEXTS["playbook.yaml"].replace("version: 1", "version: 2", 1)
    for stage in get_args(versions.Stage):
        with pytest.raises(Conflict, match="publish it with `tocsin playbook promote`"):
            await publish_playbook(production, unsigned, "p.yaml", actor=ADMIN, stage=stage)
    assert [view.version for view in await list_playbooks(production)] == [1]


async def test_unsigned_version_is_not_reinstated(
    places: tuple[Runtime, Runtime],
) -> None:
    _, production = places
    free = dataclasses.replace(
        production, settings=production.settings.model_copy(update={"require_signed": False})
    )
    for number in (1, 2):
        await publish_playbook(
            free,
            TEXTS["playbook.yaml"].replace("version: 1", f"version: {number}", 1),
            "p.yaml",
            actor=ADMIN,
        )
    await retire_playbook(production, "look-up", 1, actor=ADMIN)
    for brought in (
        versions.reinstate(production, "look-up", 1, actor=ADMIN),
        versions.roll_back(production, "look-up", 1, actor=ADMIN),
    ):
        with pytest.raises(
            Conflict, match="the version cannot run: look-up version 1 is not signed"
        ):
            await brought
    assert [
        (use.version, use.takes_alerts)
        for use in await versions.version_usage(production, "look-up")
    ] == [(2, True), (1, False)]


async def test_version_whose_digest_changes_after_the_check_is_not_published(
    places: tuple[Runtime, Runtime], monkeypatch: pytest.MonkeyPatch
) -> None:
    staging, production = places
    bundle = await ready(staging)
    found = await check_promotion(production, bundle)

    async def passed(*_given: Any) -> PromotionCheck:
        return found

    monkeypatch.setattr("orchestrator.authoring.promotion.check_promotion", passed)
    other = changed(bundle, source=TEXTS["playbook.yaml"].replace("channel: soc", "channel: sic"))
    with pytest.raises(Conflict, match="the digest changed since it was signed"):
        await promote(production, other, actor=ADMIN)
    assert await list_playbooks(production) == ()
