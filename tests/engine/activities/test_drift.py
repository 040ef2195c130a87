"""Drift: reported or corrected as the policy says, and never against a release."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from orchestrator.contracts.change import UndoReply, UndoRequest, VerifyRequest
from orchestrator.domain.containment import LeaseEndReason
from orchestrator.engine.activities.check_drift import DriftCheck
from orchestrator.store.tables import ContainmentRow, EffectRow, TaskRow
from tests.harness.activity_rig import ActivityRig, UndoChange, VerifyChange, rig

ADDRESS = "198.51.100.7"
REAPPLY = {"drift": {"then": "reapply"}}


class Died(BaseException):
    """A crash of the worker, which no code handles."""


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ActivityRig]:
    async with rig(tmp_path) as made:
        yield made


async def held(bench: ActivityRig) -> str:
    """Block and verify an address; return the containment's key."""
    call = bench.block()
    planned = await bench.contained(call)
    await ActivityEnvironment().run(
        VerifyChange(bench.rt).verify, VerifyRequest(call=call, change=planned.change, output={})
    )
    return planned.change.containment_key


async def check(bench: ActivityRig, key: str) -> ContainmentRow:
    bench.pass_time(timedelta(hours=1))
    await ActivityEnvironment().run(DriftCheck(bench.rt).check_drift, key)
    (row,) = await bench.rows(ContainmentRow)
    assert isinstance(row, ContainmentRow)
    return row


async def undo(bench: ActivityRig, run: str = "run_1") -> UndoReply:
    request = UndoRequest(
        run_id=run,
        path="block",
        cause=LeaseEndReason.ROLLED_BACK,
        reason="rolled back",
        actor=f"run:{run}",
    )
    return await ActivityEnvironment().run(UndoChange(bench.rt).undo, request)


def forget(bench: ActivityRig) -> None:
    firewall: Any = bench.worlds["firewall"]
    firewall.tags.clear()


def blocked(bench: ActivityRig) -> bool:
    return ADDRESS in bench.worlds["firewall"].in_force()["addresses"]


async def test_containment_in_force_is_audited_once_an_hour(bench: ActivityRig) -> None:
    key = await held(bench)
    row = await check(bench, key)
    assert (row.verified_at, row.drift) == (bench.now[0], None)
    for _ in range(5):
        bench.pass_time(timedelta(minutes=1))
        await ActivityEnvironment().run(DriftCheck(bench.rt).check_drift, key)
    assert (await bench.kinds()).count("containment:device:checked") == 1


async def test_drift_is_reported_once_with_a_task(bench: ActivityRig) -> None:
    key = await held(bench)
    forget(bench)
    made = bench.effects("firewall")
    assert (await check(bench, key)).drift == (await check(bench, key)).drift == "gone"
    (task,) = await bench.rows(TaskRow)
    assert (task.kind, task.subject, task.state) == ("drift", key, "open")
    assert ADDRESS in task.summary
    assert (await bench.kinds()).count("containment:drift:found") == 1
    assert bench.effects("firewall") == made


@pytest.mark.parametrize(
    ("document", "group"),
    [
        ({"releases": {"to": "leads"}}, "leads"),
        ({"releases": {"to": "leads"}, "drift": {"to": "network"}}, "network"),
        ({}, None),
    ],
)
async def test_drift_task_goes_to_the_group_of_the_policy(
    bench: ActivityRig, document: dict[str, Any], group: str | None
) -> None:
    key = await held(bench)
    await bench.policy(document)
    forget(bench)
    await check(bench, key)
    assert [task.to_group for task in await bench.rows(TaskRow)] == [group]


async def test_containment_that_is_back_closes_its_drift_task(
    bench: ActivityRig,
) -> None:
    key = await held(bench)
    firewall: Any = bench.worlds["firewall"]
    before = {address: list(tags) for address, tags in firewall.tags.items()}
    forget(bench)
    await check(bench, key)
    firewall.tags.update(before)
    row = await check(bench, key)
    assert (row.drift, row.verified_at) == (None, bench.now[0])
    assert [task.state for task in await bench.rows(TaskRow)] == ["closed"]


async def test_unavailable_device_is_neither_verified_nor_drifted(bench: ActivityRig) -> None:
    key = await held(bench)
    seen = (await bench.rows(ContainmentRow))[0].verified_at
    bench.worlds["firewall"].inject(kind="status", status=503, times=100)
    row = await check(bench, key)
    assert (row.verified_at, row.drift) == (seen, None)


async def test_drift_is_corrected_where_the_policy_says_so(
    bench: ActivityRig,
) -> None:
    key = await held(bench)
    await bench.policy(REAPPLY)
    forget(bench)
    row = await check(bench, key)
    assert blocked(bench)
    assert (row.drift, row.verified_at, row.retry_at) == (None, bench.now[0], None)
    assert [kind for kind in await bench.kinds() if "drift" in kind] == [
        "containment:drift:found",
        "containment:drift:intended",
        "containment:drift:corrected",
    ]
    assert (await undo(bench)).outcome == "undone"
    assert not blocked(bench)


@pytest.mark.parametrize(
    "document", [{"drift": {"then": "reapply"}, "protect": {"addresses": [ADDRESS]}}]
)
async def test_drift_is_not_corrected_if_the_policy_denies_it_now(
    bench: ActivityRig, document: dict[str, Any]
) -> None:
    key = await held(bench)
    await bench.policy(document)
    forget(bench)
    assert (await check(bench, key)).drift == "gone"
    assert not blocked(bench)


async def test_drift_is_not_corrected_without_a_newly_required_approval(bench: ActivityRig) -> None:
    key = await held(bench)
    await bench.policy({**REAPPLY, "rules": [{"effect": "contain", "approve": True}]})
    forget(bench)
    assert (await check(bench, key)).drift == "gone"
    assert not blocked(bench)
    assert "it needs an approval" in (await bench.rows(TaskRow))[0].summary


async def test_kill_switch_stops_drift_correction(bench: ActivityRig) -> None:
    key = await held(bench)
    await bench.policy(REAPPLY)
    await bench.engage("global")
    forget(bench)
    assert (await check(bench, key)).drift == "gone"
    assert not blocked(bench)


async def test_drift_is_not_corrected_by_a_different_change(bench: ActivityRig) -> None:
    key = await held(bench)
    await bench.policy(REAPPLY)
    firewall: Any = bench.worlds["firewall"]
    firewall.tag = "renamed"
    firewall.tags.clear()
    (row,) = await bench.rows(ContainmentRow)
    async with bench.rt.store.write() as session:
        effect = await session.get(EffectRow, row.effect_id)
        assert effect is not None
        effect.change = {
            **effect.change,
            "planned_change": {**effect.change["planned_change"], "add": ["other"]},
        }
    assert (await check(bench, key)).drift == "gone"
    assert firewall.tags == {}


async def test_release_before_the_check_wins(bench: ActivityRig) -> None:
    key = await held(bench)
    await bench.policy(REAPPLY)
    assert (await undo(bench)).outcome == "undone"
    made = bench.effects("firewall")
    assert (await check(bench, key)).state == "lifted"
    assert bench.effects("firewall") == made
    assert not blocked(bench)


async def test_release_between_read_and_intent_wins(
    bench: ActivityRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await held(bench)
    await bench.policy(REAPPLY)
    forget(bench)
    checking = DriftCheck(bench.rt)
    plan_again = checking._plan_again

    async def released_meanwhile(found: Any) -> str | None:
        assert (await undo(bench)).outcome == "undone"
        return await plan_again(found)

    monkeypatch.setattr(checking, "_plan_again", released_meanwhile)
    await ActivityEnvironment().run(checking.check_drift, key)
    assert not blocked(bench)
    assert "containment:drift:intended" not in await bench.kinds()
    assert [row.state for row in await bench.rows(ContainmentRow)] == ["lifted"]
    assert await bench.rows(TaskRow) == []


async def test_release_waits_for_drift_correction_and_then_lifts(
    bench: ActivityRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await held(bench)
    await bench.policy(REAPPLY)
    forget(bench)
    checking = DriftCheck(bench.rt)
    apply = checking._apply
    refused: list[str] = []

    async def released_meanwhile(found: Any) -> None:
        with pytest.raises(ApplicationError) as caught:
            await undo(bench)
        refused.append(str(caught.value.type))
        await apply(found)

    monkeypatch.setattr(checking, "_apply", released_meanwhile)
    await ActivityEnvironment().run(checking.check_drift, key)
    assert refused == ["Unavailable"]
    assert blocked(bench)
    assert (await undo(bench)).outcome == "undone"
    assert not blocked(bench)


async def test_dead_drift_correction_does_not_block_a_release(
    bench: ActivityRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await held(bench)
    await bench.policy(REAPPLY)
    forget(bench)
    checking = DriftCheck(bench.rt)

    async def die(_found: Any) -> None:
        raise Died

    monkeypatch.setattr(checking, "_apply", die)
    with pytest.raises(Died):
        await ActivityEnvironment().run(checking.check_drift, key)
    with pytest.raises(ApplicationError):
        await undo(bench)
    bench.pass_time(timedelta(minutes=3))
    assert (await undo(bench)).outcome == "undone"


async def test_drift_of_a_foreign_containment_is_reported_and_never_corrected(
    bench: ActivityRig,
) -> None:
    firewall: Any = bench.worlds["firewall"]
    firewall.tags[ADDRESS] = [firewall.tag]
    await bench.policy(REAPPLY)
    planned = await bench.plan(bench.block())
    key = planned.change.containment_key
    assert (await check(bench, key)).drift is None
    forget(bench)
    assert (await check(bench, key)).drift == "gone"
    assert bench.effects("firewall") == 0
