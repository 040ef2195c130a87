"""An attacker who writes to the database, and has no key: no row of theirs is believed."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from temporalio.exceptions import ApplicationError

from connectors.sdk.transport import Access
from orchestrator.access.keys import authenticate_key, revoke_key
from orchestrator.access.people import change_person
from orchestrator.connections.credentials import open_credentials
from orchestrator.connections.manage import list_connections, save_connection
from orchestrator.domain.access import Role
from orchestrator.domain.errors import Forbidden, Halted, Invalid
from orchestrator.incidents.refused_rows import report_refused_rows
from orchestrator.notifications.contacts import decision_principal
from orchestrator.policy import policies
from orchestrator.policy.load_inputs import load_policy
from orchestrator.policy.stops import kill_switches
from orchestrator.runtime import Runtime
from orchestrator.store.authentic import RowRefused, list_refused
from orchestrator.store.queries import approvals, records
from orchestrator.store.standing import check_all
from orchestrator.store.tables import (
    ApprovalRow,
    ConnectionRow,
    DecisionRow,
    KillSwitchRow,
    PolicyRow,
)
from tests.harness.activity_rig import START, ActivityRig, rig
from tests.harness.people import add_key

TOKEN = "tocsin_" + "0" * 15 + "1_" + "a" * 64
HASH = hashlib.sha256(b"tocsin:token:1\n" + TOKEN.encode()).hexdigest()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ActivityRig]:
    async with rig(tmp_path) as made:
        report_refused_rows(made.rt)
        yield made


async def attack(rt: Runtime, statement: str, **values: Any) -> None:
    """Write to the database past Tocsin."""
    async with rt.store.write() as session:
        await session.execute(text(statement), values)


async def tasks(bench: ActivityRig) -> Sequence[str]:
    async with bench.rt.store.read() as session:
        found = await session.execute(text("SELECT kind, subject FROM tasks ORDER BY subject"))
        return [f"{kind}: {subject}" for kind, subject in found]


@pytest.mark.attack("insert a row into api_keys", before="the row makes an admin")
async def test_inserted_key_is_not_a_key(bench: ActivityRig) -> None:
    await add_key(bench.rt, "ann", [Role.VIEWER], actor="person:admin")
    copied = (
        "INSERT INTO api_keys SELECT :mac, :id, person, :hash, '[\"admin\"]', 'null', 'null',"
        " created_by, created_at, NULL, NULL, NULL, NULL, created_at, 0, NULL, NULL FROM api_keys"
    )
    await attack(bench.rt, copied.replace(":mac", "mac"), id="0" * 15 + "1", hash=HASH)
    for _ in range(3):
        with pytest.raises(Forbidden):
            await authenticate_key(bench.rt, TOKEN)
    assert await tasks(bench) == [f"refused_row: api_keys {'0' * 15}1"]
    assert (await bench.kinds()).count("store:row:refused") == 1


@pytest.mark.attack("give a key more roles in its row", before="the key has them")
async def test_key_that_was_given_more_roles_is_not_a_key(bench: ActivityRig) -> None:
    _, token = await add_key(bench.rt, "ann", [Role.VIEWER], actor="person:admin")
    await authenticate_key(bench.rt, token.get_secret_value())
    await attack(bench.rt, "UPDATE api_keys SET roles = '[\"admin\"]'")
    with pytest.raises(Forbidden):
        await authenticate_key(bench.rt, token.get_secret_value())


@pytest.mark.attack("empty the policy in place", before="evaluated, citing the old digest")
async def test_policy_that_was_emptied_in_place_stops_every_change(bench: ActivityRig) -> None:
    await bench.policy({"protect": {"addresses": ["198.51.100.7"]}})
    await attack(bench.rt, "UPDATE policies SET document = '{}'")
    async with bench.rt.store.read() as session:
        with pytest.raises(Halted, match="policies 1 was not written by Tocsin"):
            await load_policy(session)
    assert await tasks(bench) == ["refused_row: policies 1"]


@pytest.mark.attack(
    "put another document under a digest",
    before="evaluated, citing the old digest",
)
async def test_policy_is_the_one_that_its_digest_names(bench: ActivityRig) -> None:
    await bench.policy({})
    async with bench.rt.store.write() as session:
        (row,) = await records.list_all(session, PolicyRow)
        row.digest = "0" * 64
    async with bench.rt.store.read() as session:
        with pytest.raises(Halted, match="not the one that its digest names"):
            await load_policy(session)


@pytest.mark.attack("narrow a kill switch in its row", before="changes go on")
async def test_kill_switch_that_was_narrowed_stops_every_change(bench: ActivityRig) -> None:
    await bench.engage("global")
    await attack(bench.rt, "UPDATE kill_switches SET scope = 'source', name = 'none'")
    async with bench.rt.store.read() as session:
        with pytest.raises(Halted, match="kill_switches source/none"):
            await records.list_all(session, KillSwitchRow)


@pytest.mark.attack("edit the base_url of a connection", before="the credential goes to the editor")
async def test_edited_connection_does_not_get_the_credential(bench: ActivityRig) -> None:
    settings = {"base_url": "https://firewall.example", "api_key": "s3cret"}
    await save_connection(bench.rt, "fw2", "palo_alto", settings, actor="person:ann", check=False)
    async with bench.rt.store.read() as session:
        row = await records.get(session, ConnectionRow, "fw2")
    assert row is not None
    rt = bench.rt
    for base_url, works in (("https://firewall.example", True), ("https://evil.example", False)):
        given = (rt.secrets, "fw2", row.connector, {**row.settings, "base_url": base_url})
        if works:
            assert open_credentials(*given, row.secrets, Access.READ)
        else:
            with pytest.raises(Invalid, match="altered or moved"):
                open_credentials(*given, row.secrets, Access.READ)
    await attack(rt, "UPDATE connections SET settings = '{}' WHERE name = 'fw2'")
    assert "fw2" not in {each.name for each in await list_connections(rt)}
    await save_connection(rt, "fw2", "palo_alto", settings, actor="person:ann", check=False)
    assert "fw2" in {each.name for each in await list_connections(rt)}


@pytest.mark.attack(
    "insert an approval and its answer",
    before="the change is applied in six seconds",
)
async def test_inserted_approval_and_decision_apply_nothing(bench: ActivityRig) -> None:
    planned = await bench.plan(bench.block())
    asked = {
        "id": "apr_1",
        "run_id": "run_1",
        "workflow_id": "run-run_1-1",
        "path": "block",
        "kind": "change",
        "question": "q",
        "changes": [{**planned.change.model_dump(mode="json"), "digest": planned.change.digest}],
        "digest": "d",
        "state": "pending",
        "asked_at": START,
        "expires_at": START,
    }
    async with bench.rt.store.write() as session:
        await approvals.add(session, asked)
    await attack(
        bench.rt,
        "INSERT INTO approval_decisions"
        " (mac, approval_id, person, key_id, decision, comment, form, via, at)"
        " VALUES ('', 'apr_1', 'ann', 'k', 'approve', '', 'null', 'api', '2026-03-04 05:06:07')",
    )
    await attack(bench.rt, "UPDATE approvals SET state = 'approved'")
    reply = await bench.apply(bench.block(), planned, "apr_1")
    assert (reply.outcome, bench.effects("firewall")) == ("needs_approval", 0)
    assert await bench.rows(ApprovalRow) == await bench.rows(DecisionRow) == []


@pytest.mark.attack("mark an approval as approved", before="the change is applied")
async def test_approval_without_recorded_decisions_applies_nothing(bench: ActivityRig) -> None:
    planned = await bench.plan(bench.block())
    asked = {
        "id": "apr_1",
        "run_id": "run_1",
        "workflow_id": "run-run_1-1",
        "path": "block",
        "kind": "change",
        "question": "q",
        "changes": [{**planned.change.model_dump(mode="json"), "digest": planned.change.digest}],
        "digest": "d",
        "state": "approved",
        "asked_at": START,
        "expires_at": START,
    }
    async with bench.rt.store.write() as session:
        await approvals.add(session, asked)
    reply = await bench.apply(bench.block(), planned, "apr_1")
    assert (reply.outcome, bench.effects("firewall")) == ("needs_approval", 0)
    assert "has 0 decisions with an event" in reply.detail
    assert await tasks(bench) == ["refused_row: approvals apr_1"]


@pytest.mark.attack("copy a row to another key", before="believed")
async def test_row_copied_to_another_key_is_found(bench: ActivityRig) -> None:
    await attack(bench.rt, "UPDATE connections SET name = 'edr2' WHERE name = 'edr'")
    await attack(bench.rt, "UPDATE playbook_versions SET version = 9")
    async with bench.rt.store.read() as session:
        assert await list_refused(session) == ["connections edr2", "playbook_versions contain/9"]


@pytest.mark.attack("delete an engaged kill switch", before="changes go on, and nothing says so")
@pytest.mark.parametrize("older", [None, "UPDATE kill_switches SET mac = :mac, stop_releases = 0"])
async def test_kill_switch_that_was_deleted_stops_every_change(
    bench: ActivityRig, older: str | None
) -> None:
    rt = bench.rt
    planned = await bench.plan(bench.block())
    await kill_switches.engage(rt, "global", "*", "drill", actor="person:ann")
    (row,) = await bench.rows(KillSwitchRow)
    await kill_switches.engage(rt, "global", "*", "drill", actor="person:ann", stop_releases=True)
    if older is None:
        await attack(rt, "DELETE FROM kill_switches")
    else:
        await attack(rt, older, mac=row.mac)
        await attack(rt, "UPDATE kill_switches SET engaged_at = :at", at=str(row.engaged_at)[:-6])
    with pytest.raises(RowRefused, match=r"kill_switches global/\* was"):
        await kill_switches.list_switches(rt)
    with pytest.raises(ApplicationError, match="Halted: the row kill_switches"):
        await bench.apply(bench.block(), planned)
    assert bench.effects("firewall") == 0
    assert await tasks(bench) == ["refused_row: kill_switches global/*"]
    async with rt.store.read() as session:
        await check_all(session)
        assert await list_refused(session) == ["kill_switches global/*"]
    await kill_switches.lift(rt, "global", "*", actor="person:ann")
    assert (await bench.apply(bench.block(), planned)).outcome == "applied"


@pytest.mark.attack("delete the newest policy", before="the one before decides")
async def test_policy_that_was_deleted_stops_every_change(bench: ActivityRig) -> None:
    rt = bench.rt
    await policies.publish_policy(rt, "{}", actor="person:ann")
    strict = "protect: {addresses: [198.51.100.7]}"
    await policies.publish_policy(rt, strict, actor="person:ann")
    await attack(rt, "DELETE FROM policies WHERE version = 2")
    async with rt.store.read() as session:
        with pytest.raises(RowRefused, match="policies 2 was deleted past Tocsin"):
            await load_policy(session)
    assert await tasks(bench) == ["refused_row: policies 2"]
    await policies.publish_policy(rt, strict, actor="person:ann")  # the fix that it names
    async with rt.store.read() as session:
        assert (await load_policy(session)).version == 2


@pytest.mark.attack(
    "put back the row of a key or a person from before it was revoked, disabled or left a group",
    before="it is accepted again",
)
@pytest.mark.parametrize("end", ["revoke", "disable", "leave"])
async def test_older_copy_of_a_key_or_person_is_refused(bench: ActivityRig, end: str) -> None:
    rt = bench.rt
    view, token = await add_key(rt, "ann", [Role.ADMIN], ["leads"], actor="system")
    table = "api_keys" if end == "revoke" else "people"
    await attack(rt, f"CREATE TABLE copied AS SELECT * FROM {table}")
    if end == "revoke":
        await revoke_key(rt, view.id, actor="person:bob")
    elif end == "disable":
        await change_person(rt, "ann", disabled=True, actor="person:bob")
    else:
        await change_person(rt, "ann", groups=[], actor="person:bob")
        assert (await authenticate_key(rt, token.get_secret_value())).groups == ()
    await attack(rt, "PRAGMA defer_foreign_keys = ON")
    await attack(rt, f"INSERT OR REPLACE INTO {table} SELECT * FROM copied")
    with pytest.raises(Forbidden):
        await authenticate_key(rt, token.get_secret_value())
    name = f"api_keys {view.id}" if end == "revoke" else "people ann"
    assert await tasks(bench) == [f"refused_row: {name}"]
    async with rt.store.read() as session:
        assert await decision_principal(session, "ann", START) is None
