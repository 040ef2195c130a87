"""Stored configuration: sources, keys, policies, kill switches, playbooks and assets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from orchestrator.access import keys
from orchestrator.assets import inventory
from orchestrator.domain.access import Permission, Role
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict, Forbidden, Invalid, NotFound
from orchestrator.intake import sources
from orchestrator.policy import policies
from orchestrator.policy.document import DEFAULT_POLICY
from orchestrator.policy.stops import kill_switches
from orchestrator.registry import publish
from orchestrator.runtime import Runtime
from orchestrator.store.tables import AuditEventRow, KeyRow, SourceRow
from tests.harness.databases import opened
from tests.harness.people import add_key

ANN = "person:ann"
PLAYBOOK = """
playbook: say
version: {version}
title: {title}
owner: soc
steps:
  - {{id: tell, use: chat.post, with: {{channel: soc, text: hello}}}}
"""


@pytest.fixture
async def rt(tmp_path: Path) -> AsyncIterator[Runtime]:
    async with opened(tmp_path, None) as [runtime]:
        yield runtime


@pytest.fixture
async def processes(tmp_path: Path, database: str | None) -> AsyncIterator[list[Runtime]]:
    async with opened(tmp_path, database, processes=3) as runtimes:
        yield runtimes


async def kinds(rt: Runtime) -> list[str]:
    async with rt.store.read() as session:
        return [
            row.kind
            for row in await session.scalars(select(AuditEventRow).order_by(AuditEventRow.number))
        ]


async def test_generated_secret_of_a_source_is_returned_once(rt: Runtime) -> None:
    view, secret = await sources.add_source(rt, "edge", "wazuh", "standard_webhooks", actor=ANN)
    assert secret is not None
    assert secret.get_secret_value().startswith("whsec_")
    assert secret.get_secret_value() not in view.model_dump_json()
    async with rt.store.read() as session:
        [row] = await session.scalars(select(SourceRow))
    assert (
        rt.secrets.open(row.secret, sources.secret_context("edge")).decode()
        == secret.get_secret_value()
    )
    assert await kinds(rt) == ["source:saved"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": "Edge!"}, "source name"),
        ({"product": "wazzuh"}, "did you mean 'wazuh'"),
        ({"scheme": "none"}, "unknown authentication"),
        ({"secret": SecretStr("short")}, "needs at least"),
        ({"options": {"header": "x\r\ny"}}, "option header"),
        ({"options": {"headr": "x"}}, "option headr"),
        ({"product": "generic"}, "needs a mapping"),
        ({"correlate_by": "moon"}, "correlate alerts by"),
        ({"mapping": {"title": "]["}}, "title"),
    ],
)
async def test_invalid_source_is_refused(rt: Runtime, given: dict[str, object], said: str) -> None:
    fields: dict[str, object] = {"name": "edge", "product": "wazuh", "scheme": "bearer", **given}
    with pytest.raises(Invalid, match=said):
        await sources.add_source(rt, **fields, actor=ANN)  # type: ignore[arg-type]
    assert await sources.list_sources(rt) == ()


async def test_mapping_reads_any_product(rt: Runtime) -> None:
    await sources.add_source(
        rt, "own", "our_scanner", "bearer", mapping={"title": "t", "dedup_key": "id"}, actor=ANN
    )
    assert [view.product for view in await sources.list_sources(rt)] == ["our_scanner"]


async def test_source_name_is_unique_and_free_after_removal(rt: Runtime) -> None:
    await sources.add_source(rt, "edge", "wazuh", "bearer", actor=ANN)
    with pytest.raises(Conflict):
        await sources.add_source(rt, "edge", "falco", "bearer", actor=ANN)
    await sources.remove_source(rt, "edge", actor=ANN)
    await sources.add_source(rt, "edge", "falco", "bearer", actor=ANN)
    with pytest.raises(NotFound):
        await sources.remove_source(rt, "none", actor=ANN)


async def test_key_authenticates_until_revoked(rt: Runtime) -> None:
    view, token = await add_key(
        rt, "ann", [Role.ANALYST], groups=["soc"], scopes=[Permission.READ], actor=ANN
    )
    principal = await keys.authenticate_key(rt, token.get_secret_value())
    assert (principal.person, principal.groups, principal.permissions) == (
        "ann",
        ("soc",),
        frozenset({Permission.READ}),
    )
    async with rt.store.read() as session:
        [row] = await session.scalars(select(KeyRow))
    assert token.get_secret_value() not in str(row.model_dump())
    await keys.revoke_key(rt, view.id, actor=ANN)
    with pytest.raises(Forbidden):
        await keys.authenticate_key(rt, token.get_secret_value())


@pytest.mark.parametrize(
    "wrong", ["", "x", "tocsin_" + "0" * 16 + "_" + "0" * 64, "\ud800", "tocsin_%00"]
)
async def test_unknown_key_is_refused_without_a_reason(rt: Runtime, wrong: str) -> None:
    with pytest.raises(Forbidden, match=r"^the API key is not valid$"):
        await keys.authenticate_key(rt, wrong)


async def test_expired_key_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as [rt]:
        _, token = await add_key(
            rt, "ann", [Role.VIEWER], expires_in=timedelta(seconds=1), actor=ANN
        )
        await keys.authenticate_key(rt, token.get_secret_value())
        async with rt.store.write() as session:
            [row] = await session.scalars(select(KeyRow))
            row.expires_at = rt.clock()
        with pytest.raises(Forbidden):
            await keys.authenticate_key(rt, token.get_secret_value())


@pytest.mark.parametrize(
    ("person", "roles", "days"),
    [
        ("", [Role.VIEWER], 1),
        ("a\nb", [Role.VIEWER], 1),
        ("ann", [], 1),
        ("ann", [Role.VIEWER], -1),
    ],
)
async def test_key_without_person_or_role_is_refused(
    rt: Runtime, person: str, roles: list[Role], days: int
) -> None:
    with pytest.raises(Invalid):
        await add_key(rt, person, roles, expires_in=timedelta(days=days), actor=ANN)


async def test_concurrent_policies_get_consecutive_versions(
    processes: list[Runtime],
) -> None:
    texts = [DEFAULT_POLICY + f"# {number}\n" for number in range(6)]
    views = await asyncio.gather(
        *(
            policies.publish_policy(processes[n % 3], text, actor=ANN)
            for n, text in enumerate(texts)
        )
    )
    assert sorted(view.version for view in views) == [1, 2, 3, 4, 5, 6]
    again = await policies.publish_policy(
        processes[0], (await policies.current_policy(processes[0])).source, actor=ANN
    )
    assert again.version == 6


async def test_invalid_policy_is_not_published(rt: Runtime) -> None:
    with pytest.raises(Invalid):
        await policies.publish_policy(rt, "protect: [", actor=ANN)
    with pytest.raises(NotFound, match="tocsin policy publish"):
        await policies.current_policy(rt)


async def test_kill_switch_is_engaged_twice_and_disengaged_once(rt: Runtime) -> None:
    await kill_switches.engage(rt, "connection", "firewall", "odd", actor=ANN)
    await kill_switches.engage(rt, "connection", "firewall", "very odd", actor=ANN)
    assert [view.reason for view in await kill_switches.list_switches(rt)] == ["very odd"]
    await kill_switches.lift(rt, "connection", "firewall", actor=ANN)
    with pytest.raises(NotFound):
        await kill_switches.lift(rt, "connection", "firewall", actor=ANN)
    assert await kinds(rt) == [EventKind.KILL_SWITCH_ENGAGED] * 2 + [EventKind.KILL_SWITCH_LIFTED]


@pytest.mark.parametrize(
    ("scope", "name", "warning"),
    [
        ("playbook", "sya", "engaged, but no playbook is named 'sya'; did you mean 'say'?"),
        ("playbook", "say", None),
        ("source", "siem", "engaged, but no source is named 'siem'"),
        ("global", "*", None),
    ],
)
async def test_kill_switch_for_an_unknown_name_warns(
    rt: Runtime, scope: str, name: str, warning: str | None
) -> None:
    await publish.publish_playbook(rt, PLAYBOOK.format(version=1, title="One"), "p.yaml", actor=ANN)
    assert (await kill_switches.engage(rt, scope, name, "odd", actor=ANN)).warning == warning
    assert [view.name for view in await kill_switches.list_switches(rt)] == [name]


@pytest.mark.parametrize(
    ("scope", "name", "reason"), [("moon", "x", "r"), ("playbook", "", "r"), ("global", "*", " ")]
)
async def test_kill_switch_without_scope_name_is_refused(
    rt: Runtime, scope: str, name: str, reason: str
) -> None:
    with pytest.raises(Invalid):
        await kill_switches.engage(rt, scope, name, reason, actor=ANN)


async def test_published_version_never_changes(rt: Runtime) -> None:
    first = await publish.publish_playbook(
        rt, PLAYBOOK.format(version=1, title="One"), "p.yaml", actor=ANN
    )
    again = await publish.publish_playbook(
        rt, PLAYBOOK.format(version=1, title="One"), "p.yaml", actor="person:bob"
    )
    assert (first.outcome, again.outcome) == ("published", "unchanged")
    assert again.model_copy(update={"outcome": first.outcome}) == first
    with pytest.raises(Conflict, match="raise `version`"):
        await publish.publish_playbook(
            rt, PLAYBOOK.format(version=1, title="Two"), "p.yaml", actor=ANN
        )
    await publish.publish_playbook(rt, PLAYBOOK.format(version=2, title="Two"), "p.yaml", actor=ANN)
    assert (await publish.get_playbook(rt, "say", 1)).title == "One"
    assert (await publish.get_playbook(rt, "say")).version == 2


async def test_concurrent_publication_of_one_version_succeeds_once(
    processes: list[Runtime],
) -> None:
    texts = [PLAYBOOK.format(version=1, title=f"T{number}") for number in range(3)]
    done = await asyncio.gather(
        *(
            publish.publish_playbook(rt, text, "p.yaml", actor=ANN)
            for rt, text in zip(processes, texts, strict=True)
        ),
        return_exceptions=True,
    )
    assert sorted(type(each).__name__ for each in done) == [
        "Conflict",
        "Conflict",
        "PublishedPlaybook",
    ]


async def test_retired_version_is_not_the_newest_and_is_still_readable(rt: Runtime) -> None:
    for version in (1, 2):
        await publish.publish_playbook(
            rt, PLAYBOOK.format(version=version, title="T"), "p.yaml", actor=ANN
        )
    await publish.retire_playbook(rt, "say", 2, actor=ANN)
    assert (await publish.get_playbook(rt, "say")).version == 1
    assert (await publish.get_playbook(rt, "say", 2)).retired
    with pytest.raises(NotFound):
        await publish.get_playbook(rt, "hear")


async def test_thousands_of_assets_are_stored_in_canonical_form(
    processes: list[Runtime],
) -> None:
    rt = processes[0]
    rows = [
        {"type": "address", "value": f"10.0.{number // 250}.{number % 250}"}
        for number in range(1_200)
    ]
    assert await inventory.import_assets(rt, rows, actor=ANN) == 1_200
    await inventory.import_assets(
        rt,
        [{"type": "address", "value": "::ffff:10.0.0.1", "critical": True, "tags": ["dns"]}],
        actor=ANN,
    )
    found = await inventory.list_assets(rt)
    assert len(found) == 1_200
    assert [asset.value for asset in found if asset.critical] == ["10.0.0.1"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"type": "address", "value": "x"}, "asset 2"),
        ({"type": "moon", "value": "x"}, "asset 2: type"),
        ({"type": "host"}, "asset 2: value"),
        ({"type": "host", "value": "OK"}, "is a duplicate of asset 1"),
    ],
)
async def test_one_invalid_asset_is_named_and_none_is_imported(
    rt: Runtime, row: dict[str, str], said: str
) -> None:
    with pytest.raises(Invalid, match=said):
        await inventory.import_assets(rt, [{"type": "host", "value": "ok"}, row], actor=ANN)
    assert await inventory.list_assets(rt) == ()
