"""Recordings: a real run becomes a test case that ends the same, without personal data."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from orchestrator.approvals.decide import decide
from orchestrator.approvals.views import list_approvals
from orchestrator.authoring.recording.service import RecordedRun, record_run
from orchestrator.authoring.rehearsal.alert_fields import EMPTY_ALERT
from orchestrator.connections.catalogue import usual_catalogue
from orchestrator.domain.access import Principal, Role
from orchestrator.domain.approval import ApprovalState
from orchestrator.domain.errors import Conflict, NotFound
from orchestrator.playbook.compile.compiler import compile_playbook
from orchestrator.runs.dispatch import dispatch
from orchestrator.store.search.filters import ApprovalFilter
from tests.harness.activity_rig import START, ActivityRig, alert, published, rig, run_row
from tests.harness.temporal_rig import on_temporal

ANN = Principal(key_id="k1", person="ann", roles=(Role.APPROVER,))
TEXT = """\
playbook: recorded-run
version: 1
title: Contain
owner: soc
trigger: {when: alert.severity >= 4}
steps:
  - id: host
    use: edr.find_host
    with: {host: "${{ alert.host.name }}"}
    on_error: continue
  - id: contain
    approve: {question: "Cut ${{ steps.host.name }} and ${{ alert.remote.address }} off?", within: 15m}
    parallel:
      - id: block
        use: firewall.block_address
        with: {address: "${{ alert.remote.address }}"}
        for: 24h
      - id: isolate
        when: steps.host is not none
        use: edr.isolate_host
        with: {host: "${{ steps.host.id }}"}
  - id: ticket
    use: tickets.open
    with: {title: "Beacon of ${{ steps.host.name }}, user ${{ alert.user.name }}"}
"""
COMMENT = """\
  - id: comment
    use: tickets.comment
    with: {key: NOPE-1, text: x}
on_failure: roll_back
"""


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[tuple[ActivityRig, Client]]:
    async with on_temporal(tmp_path) as both:
        yield both


async def ran(
    made: ActivityRig, client: Client, text: str, answer: Any = "approve", host: str = "mac-113"
) -> RecordedRun:
    """The case of a run of this playbook that is over; `answer`: what ann says to its question."""
    plan = compile_playbook(text, "p.yaml", usual_catalogue(), lambda _name, _version: None).plan
    view = {
        **EMPTY_ALERT, "id": "alert_w", "title": f"{host} of alice beacons", "severity": 5, "severity_name": "critical", "class": "c2_beacon",
        "host": {"id": None, "name": host, "address": "10.20.1.113", "kind": "workstation", "critical": False, "tags": []},
        "user": {"name": "alice", "domain": "ACME", "email": "alice@acme.com", "critical": False, "tags": []},
        "remote": {"address": "185.220.101.7", "domain": None, "port": 443},
    }  # fmt: skip
    await made.add(published(plan), alert("alert_w", view=view))
    columns = {
        "playbook": plan.playbook,
        "plan_digest": plan.digest,
        "dispatched": False,
        "alert_id": "alert_w",
        "severity": 5,
    }
    await made.add(run_row("run_w", **columns))
    assert await dispatch(made.rt, client, ["run_w"]) == 1
    async with asyncio.timeout(30):
        if answer is not None:
            while not (
                found := (
                    await list_approvals(made.rt, ApprovalFilter(state=(ApprovalState.PENDING,)))
                ).items
            ):  # nothing says when
                await asyncio.sleep(0.05)
            digests = [change.digest for change in found[0].planned_changes]
            only: dict[str, Any] = {} if answer != "the first" else {"changes": digests[:1]}
            said: Any = "approve" if answer == "the first" else answer
            await decide(made.rt, client, found[0].id, ANN, said, found[0].digest, **only)
        await client.get_workflow_handle("run-run_w-1").result()
    return await record_run(made.rt, "run_w")


async def test_approved_run_becomes_an_anonymous_passing_case(
    bench: tuple[ActivityRig, Client],
) -> None:
    found = await ran(*bench, TEXT)
    assert (found.passes, found.differences) == (True, ()), found.tests
    assert found.case["expect"]["status"] == "completed"
    assert found.case["expect"]["applied"][0] == "firewall.block_address 203.0.113.1"
    assert found.case["decide"] == ["approve"]
    text = found.tests.lower()
    assert not [
        name for name in ("alice", "acme", "mac-113", "10.20.1", "185.220") if name in text
    ], found.tests


async def test_declined_and_rolled_back_runs_end_the_same(
    bench: tuple[ActivityRig, Client],
) -> None:
    found = await ran(*bench, TEXT, "decline")
    assert (found.passes, found.case["decide"]) == (True, ["decline"]), found.differences
    assert found.case["expect"]["applied"] == []


async def test_run_that_undid_its_changes_becomes_such_a_case(
    bench: tuple[ActivityRig, Client],
) -> None:
    found = await ran(*bench, TEXT + COMMENT)
    assert (found.passes, found.differences) == (True, ()), found.tests
    assert found.case["expect"]["status"] == "rolled_back"
    assert len(found.case["expect"]["undone"]) == 2
    assert found.case["stubs"]["tickets.comment"] == {"fails": "rejected"}


async def test_partial_approval_is_recorded(bench: tuple[ActivityRig, Client]) -> None:
    found = await ran(*bench, TEXT, "the first")
    assert (found.passes, found.differences) == (True, ()), found.tests
    assert found.case["decide"] == [{"approve": ["firewall.block_address 203.0.113.1"]}]
    assert found.case["expect"]["applied"] == ["firewall.block_address 203.0.113.1", "tickets.open"]


async def test_failed_read_is_recorded(bench: tuple[ActivityRig, Client]) -> None:
    found = await ran(
        *bench,
        TEXT.replace("Cut ${{ steps.host.name }} and", "Block").replace(
            "of ${{ steps.host.name }}", ""
        ),
        host="nobodys",
    )
    assert (found.passes, found.differences) == (True, ()), found.tests
    assert found.case["stubs"]["edr.find_host"] == {"fails": "rejected"}
    assert found.case["expect"]["applied"] == ["firewall.block_address 203.0.113.1", "tickets.open"]


async def test_open_or_missing_run_is_not_recorded(tmp_path: Path) -> None:
    async with rig(tmp_path) as made:
        with pytest.raises(Conflict, match="only a run that ended by itself"):
            await record_run(made.rt, "run_1")
        with pytest.raises(NotFound):
            await record_run(made.rt, "run_0")


__all__ = ["START"]
