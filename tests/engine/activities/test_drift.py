"""What the device does not show any more is reported or made again as the policy says, and never against a release."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from orchestrator.contracts.messages import UndoReply, UndoRequest, VerifyRequest
from orchestrator.engine.activities.check import Checking
from orchestrator.store.tables import ContainmentRow, EffectRow, TaskRow
from tests.harness.activity_rig import Rig, Undoing, Verifying, rig

ADDRESS = "198.51.100.7"
REAPPLY = {"drift": {"then": "reapply"}}


class Died(BaseException):
    """A worker that is gone handles nothing."""


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path) as made:
        yield made


async def held(bench: Rig) -> str:
    """An address that is blocked by us and verified; the containment's key."""
    call = bench.block()
    planned = await bench.contained(call)
    await ActivityEnvironment().run(
        Verifying(bench.rt).verify, VerifyRequest(call=call, change=planned.change, output={})
    )
    return planned.change.containment_key


async def check(bench: Rig, key: str) -> ContainmentRow:
    bench.pass_time(timedelta(hours=1))
    await ActivityEnvironment().run(Checking(bench.rt).check, key)
    (row,) = await bench.rows(ContainmentRow)
    assert isinstance(row, ContainmentRow)
    return row


async def undo(bench: Rig, run: str = "run_1") -> UndoReply:
    request = UndoRequest(run_id=run, path="block", reason="rolled back", actor=f"run:{run}")
    return await ActivityEnvironment().run(Undoing(bench.rt).undo, request)


def forget(bench: Rig) -> None:
    firewall: Any = bench.worlds["firewall"]
    firewall.tags.clear()


def blocked(bench: Rig) -> bool:
    return ADDRESS in bench.worlds["firewall"].in_force()["addresses"]


async def test_what_is_in_force_is_seen_and_said_once_an_hour(bench: Rig) -> None:
    key = await held(bench)
    row = await check(bench, key)
    assert (row.verified_at, row.drift) == (bench.now[0], None)
    for _ in range(5):
        bench.pass_time(timedelta(minutes=1))
        await ActivityEnvironment().run(Checking(bench.rt).check, key)
    assert (await bench.kinds()).count("containment:device:checked") == 1


async def test_what_is_gone_is_reported_once_and_a_person_is_told(bench: Rig) -> None:
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
async def test_drift_is_told_to_the_group_that_the_policy_names(
    bench: Rig, document: dict[str, Any], group: str | None
) -> None:
    key = await held(bench)
    await bench.policy(document)
    forget(bench)
    await check(bench, key)
    assert [task.to_group for task in await bench.rows(TaskRow)] == [group]


async def test_what_is_back_is_not_drifted_any_more_and_the_matter_is_closed(bench: Rig) -> None:
    key = await held(bench)
    firewall: Any = bench.worlds["firewall"]
    before = {address: list(tags) for address, tags in firewall.tags.items()}
    forget(bench)
    await check(bench, key)
    firewall.tags.update(before)
    row = await check(bench, key)
    assert (row.drift, row.verified_at) == (None, bench.now[0])
    assert [task.state for task in await bench.rows(TaskRow)] == ["closed"]


async def test_a_device_that_does_not_answer_is_neither_seen_nor_gone(bench: Rig) -> None:
    key = await held(bench)
    seen = (await bench.rows(ContainmentRow))[0].verified_at
    bench.worlds["firewall"].inject(kind="status", status=503, times=100)
    row = await check(bench, key)
    assert (row.verified_at, row.drift) == (seen, None)


async def test_what_is_gone_is_made_again_where_the_policy_says_so_and_is_released_as_ever(
    bench: Rig,
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
async def test_what_the_policy_denies_by_now_is_not_made_again(
    bench: Rig, document: dict[str, Any]
) -> None:
    key = await held(bench)
    await bench.policy(document)
    forget(bench)
    assert (await check(bench, key)).drift == "gone"
    assert not blocked(bench)


async def test_what_takes_an_approval_by_now_is_not_made_again_without(bench: Rig) -> None:
    key = await held(bench)
    await bench.policy({**REAPPLY, "rules": [{"effect": "contain", "approve": True}]})
    forget(bench)
    assert (await check(bench, key)).drift == "gone"
    assert not blocked(bench)
    assert "it takes an approval" in (await bench.rows(TaskRow))[0].summary


async def test_a_kill_switch_keeps_it_from_being_made_again(bench: Rig) -> None:
    key = await held(bench)
    await bench.policy(REAPPLY)
    await bench.engage("global")
    forget(bench)
    assert (await check(bench, key)).drift == "gone"
    assert not blocked(bench)


async def test_another_change_than_the_one_that_was_judged_is_not_made(bench: Rig) -> None:
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


async def test_a_release_before_the_check_wins(bench: Rig) -> None:
    key = await held(bench)
    await bench.policy(REAPPLY)
    assert (await undo(bench)).outcome == "undone"
    made = bench.effects("firewall")
    assert (await check(bench, key)).state == "lifted"
    assert bench.effects("firewall") == made
    assert not blocked(bench)


async def test_a_release_that_comes_between_the_look_and_the_intent_wins(
    bench: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await held(bench)
    await bench.policy(REAPPLY)
    forget(bench)
    checking = Checking(bench.rt)
    planned_again = checking._planned_again

    async def released_meanwhile(found: Any) -> str | None:
        assert (await undo(bench)).outcome == "undone"
        return await planned_again(found)

    monkeypatch.setattr(checking, "_planned_again", released_meanwhile)
    await ActivityEnvironment().run(checking.check, key)
    assert not blocked(bench)
    assert "containment:drift:intended" not in await bench.kinds()
    assert [row.state for row in await bench.rows(ContainmentRow)] == ["lifted"]
    assert await bench.rows(TaskRow) == []


async def test_a_release_waits_for_a_call_that_is_making_it_again_and_then_lifts_it(
    bench: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await held(bench)
    await bench.policy(REAPPLY)
    forget(bench)
    checking = Checking(bench.rt)
    apply = checking._apply
    refused: list[str] = []

    async def released_meanwhile(found: Any) -> None:
        with pytest.raises(ApplicationError) as caught:
            await undo(bench)
        refused.append(str(caught.value.type))
        await apply(found)

    monkeypatch.setattr(checking, "_apply", released_meanwhile)
    await ActivityEnvironment().run(checking.check, key)
    assert refused == ["Unavailable"]
    assert blocked(bench)
    assert (await undo(bench)).outcome == "undone"
    assert not blocked(bench)


async def test_a_worker_that_died_over_making_it_again_keeps_no_release_from_its_end(
    bench: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await held(bench)
    await bench.policy(REAPPLY)
    forget(bench)
    checking = Checking(bench.rt)

    async def die(_found: Any) -> None:
        raise Died

    monkeypatch.setattr(checking, "_apply", die)
    with pytest.raises(Died):
        await ActivityEnvironment().run(checking.check, key)
    with pytest.raises(ApplicationError):
        await undo(bench)
    bench.pass_time(timedelta(minutes=3))
    assert (await undo(bench)).outcome == "undone"


async def test_what_was_in_force_before_us_is_never_made_again_and_its_loss_is_reported(
    bench: Rig,
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
