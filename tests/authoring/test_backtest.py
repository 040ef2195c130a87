"""Does a backtest tell what a draft would have done, and nothing that it cannot know?"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from connectors.sdk.emulator import EmulatorTransport
from connectors.sdk.open import open_connector
from connectors.sdk.transport import Access
from connectors.virustotal.connector import VirusTotal
from connectors.virustotal.emulator import VirusTotalEmulator
from orchestrator.authoring.backtest.read_resolver import ReadFallback
from orchestrator.authoring.backtest.report import Backtest
from orchestrator.authoring.backtest.service import BacktestPlaybook, BacktestRequest, run_backtest
from orchestrator.authoring.outcomes.differences import OutcomeDifference
from orchestrator.connections.open import pool_key
from orchestrator.domain.errors import Invalid, Unavailable
from orchestrator.store.tables import AssetRow, AuditEventRow, ConnectionRow, RunRow, StepRow
from tests.harness.history_rig import LIVE, NOW, Rig, rig

BAD, WORSE, GOOD = "198.51.100.7", "198.51.100.8", "203.0.113.9"


@pytest.fixture
async def past(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path) as made:
        yield made


def told(found: Backtest) -> dict[OutcomeDifference, list[tuple[str, tuple[str, ...]]]]:
    return {
        group.difference: [(each.about.alert_id, each.what) for each in group.examples]
        for group in found.groups
    }


async def test_the_version_that_ran_then_differs_in_nothing(past: Rig) -> None:
    await past.handled("a", BAD, 9)
    await past.handled("b", GOOD, 0)
    found = await past.try_(LIVE)
    assert told(found) == {}
    assert (
        found.alerts,
        found.same,
        found.started_then,
        found.started_now,
        found.reads.recorded,
    ) == (2, 2, 2, 2, 2)
    assert not found.differs


async def test_a_lower_bar_contains_more_and_a_higher_one_less(past: Rig) -> None:
    await past.handled("a", BAD, 9)
    await past.handled("b", GOOD, 2)
    lower = told(await past.try_(LIVE.replace(">= 5", ">= 1")))
    assert lower == {OutcomeDifference.CONTAINED_MORE: [("b", (f"firewall.block_address {GOOD}",))]}
    higher = told(await past.try_(LIVE.replace(">= 5", ">= 50")))
    assert higher == {OutcomeDifference.CONTAINED_LESS: [("a", (f"firewall.block_address {BAD}",))]}


async def test_who_is_asked_counts_as_asked_and_as_contained(past: Rig) -> None:
    await past.handled("a", BAD, 9)
    await past.handled("b", WORSE, 9, asked=True)
    asking = LIVE.replace(
        "    use: firewall", "    approve: {question: Block it?}\n    use: firewall"
    )
    assert told(await past.try_(asking)) == {
        OutcomeDifference.ASKED_MORE: [("a", (f"firewall.block_address {BAD}",))]
    }
    assert told(await past.try_(LIVE)) == {
        OutcomeDifference.ASKED_LESS: [("b", (f"firewall.block_address {WORSE}",))]
    }


async def test_the_policy_of_the_backtest_judges_with_the_inventory(past: Rig) -> None:
    await past.handled("a", BAD, 9)
    await past.add(AssetRow(type="address", value=BAD, tags=["partner"]))
    denying = "rules:\n  - {deny: partners are called first, tags: [partner]}\n"
    assert told(await past.try_(LIVE, policy=denying)) == {
        OutcomeDifference.NEWLY_DENIED: [("a", (f"firewall.block_address {BAD}",))]
    }


async def test_limits_count_what_the_backtest_did_in_its_own_time(past: Rig) -> None:
    for hour, address in enumerate((BAD, WORSE, GOOD)):
        await past.handled(f"a{hour}", address, 9, NOW - timedelta(hours=8 - hour))
    limited = "limits:\n  windows:\n    - {per: overall, within: 90m, addresses: 1}\n"
    assert told(await past.try_(LIVE, policy=limited)) == {
        OutcomeDifference.ASKED_MORE: [
            ("a1", (f"firewall.block_address {WORSE}",)),
            ("a2", (f"firewall.block_address {GOOD}",)),
        ]
    }


async def test_what_was_so_already_is_not_contained(past: Rig) -> None:
    await past.handled("a", BAD, 9, changed=False)
    assert told(await past.try_(LIVE)) == {}


async def test_an_earlier_run_covers_an_alert_as_it_did_then_also_one_before_the_time_looked_at(
    past: Rig,
) -> None:
    await past.handled("a", BAD, 9, NOW - timedelta(hours=24, minutes=10))
    await past.alert("b", BAD, NOW - timedelta(hours=23, minutes=50))
    await past.handled("c", BAD, 9, NOW - timedelta(hours=20))
    assert told(await past.try_(LIVE)) == {}
    found = told(await past.try_(LIVE.replace("within: 1h", "within: 5m")))
    assert [each for each, _ in found[OutcomeDifference.STARTED_ONLY_NOW]] == ["b"]


async def test_a_read_is_answered_by_its_own_alert_before_another_that_is_nearer(past: Rig) -> None:
    await past.handled("late", BAD, 9, NOW - timedelta(hours=5), ran=NOW - timedelta(hours=4))
    await past.handled("near", BAD, 2, NOW - timedelta(hours=5, minutes=1))
    assert told(await past.try_(LIVE.replace("within: 1h", "within: 1s"))) == {}


async def test_an_alert_without_a_run_is_answered_by_the_nearest_in_time(past: Rig) -> None:
    await past.handled("a", BAD, 2, NOW - timedelta(hours=5))
    await past.handled("b", BAD, 9, NOW - timedelta(hours=2))
    await past.alert("c", BAD, NOW - timedelta(minutes=50))
    await past.alert("d", BAD, NOW - timedelta(hours=3, minutes=50))
    assert told(await past.try_(LIVE)) == {
        OutcomeDifference.STARTED_ONLY_NOW: [
            ("d", ("would end completed",)),
            ("c", ("would end completed",)),
        ],
        OutcomeDifference.CONTAINED_MORE: [("c", (f"firewall.block_address {BAD}",))],
    }


async def test_what_was_not_recorded_is_not_guessed(past: Rig) -> None:
    await past.alert("a", BAD)
    strict = told(await past.try_(LIVE))
    assert strict[OutcomeDifference.CANNOT_TELL][0][1][0].startswith(
        "what reputation.lookup_address would answer at step verdict was not"
    )
    assert OutcomeDifference.CONTAINED_MORE not in strict
    unknown = told(await past.try_(LIVE, reads=ReadFallback.UNKNOWN))
    assert unknown[OutcomeDifference.CANNOT_TELL][0][1][0].startswith(
        "step block: what reputation.lookup_address"
    )
    assert OutcomeDifference.CONTAINED_MORE not in unknown


@pytest.mark.parametrize(
    "when",
    [
        "steps.verdict.malicious | default(9) >= 5",
        "steps.verdict.malicious is defined",
        "'malicious' in steps.verdict",
        "steps.verdict == {}",
        "steps.verdict | length == 0",
        "(steps.verdict | json) != ''",
    ],
)
async def test_no_expression_makes_something_of_the_unknown(past: Rig, when: str) -> None:
    await past.alert("a", BAD)
    text = LIVE.replace("steps.verdict.malicious >= 5", f'"{when}"').replace(
        "    for: 24h", "    for: 24h\n    on_error: continue"
    )
    found = told(await past.try_(text, reads=ReadFallback.UNKNOWN))
    assert found.keys() == {OutcomeDifference.STARTED_ONLY_NOW, OutcomeDifference.CANNOT_TELL}


async def test_what_does_not_need_the_unknown_is_told_all_the_same(past: Rig) -> None:
    await past.alert("a", BAD)
    further = (
        LIVE
        + f'  - id: worse\n    use: firewall.block_address\n    with: {{address: "{WORSE}"}}\n    for: 24h\n'
    )
    found = told(await past.try_(further, reads=ReadFallback.UNKNOWN))
    assert found[OutcomeDifference.CONTAINED_MORE] == [("a", (f"firewall.block_address {WORSE}",))]
    assert found[OutcomeDifference.CANNOT_TELL]


async def test_an_unknown_that_only_a_message_needs_is_no_difference_in_what_is_contained(
    past: Rig,
) -> None:
    await past.alert("a", BAD)
    text = (
        LIVE.partition("  - id: block")[0]
        + '  - id: tell\n    use: chat.post\n    with: {channel: soc, text: "${{ steps.verdict.link }}"}\n'
    )
    assert OutcomeDifference.CANNOT_TELL not in told(await past.try_(text, reads=ReadFallback.UNKNOWN))


async def test_stubs_answer_where_nothing_was_recorded(past: Rig) -> None:
    await past.handled("a", GOOD, 0)
    await past.alert("b", BAD)
    tests = "playbook: block-guesser\nstubs:\n  reputation.lookup_address: {output: {malicious: 9}}\ncases: [{name: x, triggers: false}]\n"
    found = await past.try_(LIVE, reads=ReadFallback.STUB, tests=full(tests))
    assert told(found)[OutcomeDifference.CONTAINED_MORE] == [("b", (f"firewall.block_address {BAD}",))]
    assert (found.reads.recorded, found.reads.stub) == (1, 1)
    with pytest.raises(Invalid, match="needs stubs"):
        await past.try_(LIVE, reads=ReadFallback.STUB)


def full(tests: str) -> str:
    answer = "{known: true, malicious: 9, suspicious: 0, harmless: 0, undetected: 0, reputation: 0, tags: [], link: null}"
    return tests.replace("{malicious: 9}", answer)


async def test_live_reads_ask_the_real_system_and_change_nothing(past: Rig) -> None:
    await past.alert("a", BAD)
    await past.alert("b", BAD, NOW - timedelta(minutes=30))
    world = VirusTotalEmulator()
    row = ConnectionRow(
        name="reputation",
        connector="virustotal",
        capability="reputation",
        settings={},
        secrets=b"",
        revision=1,
        saved_at=NOW,
    )
    for access in Access:
        opened = open_connector(
            VirusTotal,
            VirusTotalEmulator.settings("http://127.0.0.1:1"),
            access,
            EmulatorTransport(world),
        )
        past.rt.connections.get(pool_key(row, access), lambda opened=opened: opened)  # type: ignore[misc]
    await past.add(row)
    found = await past.try_(LIVE, reads=ReadFallback.LIVE)
    assert (found.reads.live, found.reads.unknown) == (2, 0)
    assert OutcomeDifference.CANNOT_TELL not in told(found)
    assert sum(each["count"] for each in world.effects) == 0


async def test_a_step_that_fails_is_told_with_its_reason(past: Rig) -> None:
    await past.handled("a", BAD, 9)
    found = told(
        await past.try_(LIVE.replace("steps.verdict.malicious >= 5", "alert.host.name == 'x'"))
    )
    assert found[OutcomeDifference.FAILED][0][1][0].startswith("step block: alert.host")


async def test_the_limit_of_runs_is_honoured(past: Rig) -> None:
    await past.handled("a", BAD, 9, NOW - timedelta(hours=2))
    await past.handled("b", WORSE, 9, NOW - timedelta(hours=1, minutes=30))
    found = told(await past.try_(LIVE.replace("steps:", "limits: {runs_per_hour: 1}\nsteps:", 1)))
    assert found[OutcomeDifference.FAILED] == [
        ("b", ("the run: it waits for an approval: its limit of 1 runs per hour is used up",))
    ]


async def test_a_run_over_the_limit_is_no_difference(past: Rig) -> None:
    limited = LIVE.replace("steps:", "limits: {runs_per_hour: 1}\nsteps:", 1)
    await past.handled("a", BAD, 9, NOW - timedelta(hours=2))
    await past.over_limit("b", WORSE, NOW - timedelta(hours=1, minutes=30))
    assert told(await past.try_(limited)) == {}


async def test_a_run_over_the_limit_that_people_let_begin_is_no_difference(past: Rig) -> None:
    limited = LIVE.replace("steps:", "limits: {runs_per_hour: 1}\nsteps:", 1)
    await past.handled("a", BAD, 9, NOW - timedelta(hours=2))
    await past.handled("b", WORSE, 9, NOW - timedelta(hours=1, minutes=30), over_limit=1)
    assert told(await past.try_(limited)) == {}


async def test_other_classes_sources_and_times_are_left_out(past: Rig) -> None:
    await past.alert("other", BAD, alert_class="malware")
    await past.handled("old", BAD, 9, NOW - timedelta(days=3))
    await past.handled("a", BAD, 9)
    await past.alert("b", WORSE, source="else")
    found = await past.try_(LIVE, source="test")
    assert (found.alerts, found.started_now) == (2, 1)
    newest = await past.try_(LIVE, limit=1)
    assert (newest.alerts, newest.more_alerts) == (1, True)


async def test_days_are_counted(past: Rig) -> None:
    await past.handled("a", BAD, 9, NOW - timedelta(hours=3))
    found = await past.try_(LIVE.replace(">= 5", ">= 50"))
    assert [(day.day, day.alerts, day.contained_then, day.contained_now) for day in found.days] == [
        ("2026-03-09", 1, 1, 0)
    ]


async def test_nothing_is_written(past: Rig) -> None:
    await past.handled("a", BAD, 9)
    before = await rows(past)
    await past.try_(LIVE.replace(">= 5", ">= 1"), reads=ReadFallback.UNKNOWN)
    assert await rows(past) == before


async def rows(past: Rig) -> list[int]:
    async with past.rt.store.read() as session:
        return [
            int(await session.scalar(select(func.count()).select_from(table)) or 0)
            for table in (RunRow, StepRow, AuditEventRow)
        ]


async def test_a_playbook_without_trigger_and_one_of_another_name_are_refused(past: Rig) -> None:
    head = LIVE.partition("trigger:")[0]
    with pytest.raises(Invalid, match="has no trigger"):
        await past.try_(
            head + "steps:\n  - {id: tell, use: chat.post, with: {channel: soc, text: x}}\n"
        )
    with pytest.raises(Invalid, match="is the playbook block-guesser, not other"):
        await run_backtest(past.rt, BacktestPlaybook(text=LIVE, name="other"), BacktestRequest(since=timedelta(days=1)))


async def test_it_ends_when_its_time_is_up(past: Rig) -> None:
    await past.handled("a", BAD, 9)
    with pytest.raises(Unavailable, match="fewer at once"):
        await run_backtest(past.rt, BacktestPlaybook(text=LIVE), BacktestRequest(since=timedelta(days=1)), seconds=0)
