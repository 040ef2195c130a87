"""Backtests: what a draft would have done, without guesses about what was not recorded."""

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
from orchestrator.authoring.backtest.live_reads import LIVE_BACKTEST_HANDLER
from orchestrator.authoring.backtest.read_resolver import ReadFallback
from orchestrator.authoring.backtest.report import Backtest
from orchestrator.authoring.backtest.service import (
    BacktestPlaybook,
    BacktestRequest,
    run_backtest,
    run_backtest_for_api,
)
from orchestrator.authoring.outcomes.differences import OutcomeDifference
from orchestrator.connections.open import pool_key
from orchestrator.domain.errors import Invalid, Unavailable
from orchestrator.store.tables import AssetRow, AuditEventRow, ConnectionRow, RunRow, StepRow
from tests.harness.history_rig import LIVE, NOW, HistoryRig, rig
from tests.harness.request_worker import request_worker

BAD, WORSE, GOOD = "198.51.100.7", "198.51.100.8", "203.0.113.9"


@pytest.fixture
async def past(tmp_path: Path) -> AsyncIterator[HistoryRig]:
    async with rig(tmp_path) as past:
        yield past


def differences(found: Backtest) -> dict[OutcomeDifference, list[tuple[str, tuple[str, ...]]]]:
    return {
        group.difference: [(each.about.alert_id, each.what) for each in group.examples]
        for group in found.groups
    }


async def test_unchanged_version_has_no_differences(past: HistoryRig) -> None:
    await past.handled("a", BAD, 9)
    await past.handled("b", GOOD, 0)
    found = await past.try_(LIVE)
    assert differences(found) == {}
    assert (
        found.alerts,
        found.same,
        found.started_then,
        found.started_now,
        found.reads.recorded,
    ) == (2, 2, 2, 2, 2)
    assert not found.differs


async def test_lower_threshold_contains_more_and_higher_less(past: HistoryRig) -> None:
    await past.handled("a", BAD, 9)
    await past.handled("b", GOOD, 2)
    lower = differences(await past.try_(LIVE.replace(">= 5", ">= 1")))
    assert lower == {OutcomeDifference.CONTAINED_MORE: [("b", (f"firewall.block_address {GOOD}",))]}
    higher = differences(await past.try_(LIVE.replace(">= 5", ">= 50")))
    assert higher == {OutcomeDifference.CONTAINED_LESS: [("a", (f"firewall.block_address {BAD}",))]}


async def test_asked_change_counts_as_asked_and_contained(past: HistoryRig) -> None:
    await past.handled("a", BAD, 9)
    await past.handled("b", WORSE, 9, asked=True)
    asking = LIVE.replace(
        "    use: firewall", "    approve: {question: Block it?}\n    use: firewall"
    )
    assert differences(await past.try_(asking)) == {
        OutcomeDifference.ASKED_MORE: [("a", (f"firewall.block_address {BAD}",))]
    }
    assert differences(await past.try_(LIVE)) == {
        OutcomeDifference.ASKED_LESS: [("b", (f"firewall.block_address {WORSE}",))]
    }


async def test_policy_draft_evaluates_with_the_inventory(past: HistoryRig) -> None:
    await past.handled("a", BAD, 9)
    await past.add(AssetRow(type="address", value=BAD, tags=["partner"]))
    denying = "rules:\n  - {deny: partners are called first, tags: [partner]}\n"
    assert differences(await past.try_(LIVE, policy=denying)) == {
        OutcomeDifference.NEWLY_DENIED: [("a", (f"firewall.block_address {BAD}",))]
    }


async def test_limits_count_changes_of_the_backtest(past: HistoryRig) -> None:
    for hour, address in enumerate((BAD, WORSE, GOOD)):
        await past.handled(f"a{hour}", address, 9, NOW - timedelta(hours=8 - hour))
    limited = "limits:\n  windows:\n    - {per: overall, within: 90m, addresses: 1}\n"
    assert differences(await past.try_(LIVE, policy=limited)) == {
        OutcomeDifference.ASKED_MORE: [
            ("a1", (f"firewall.block_address {WORSE}",)),
            ("a2", (f"firewall.block_address {GOOD}",)),
        ]
    }


async def test_unchanged_target_is_not_contained(past: HistoryRig) -> None:
    await past.handled("a", BAD, 9, changed=False)
    assert differences(await past.try_(LIVE)) == {}


async def test_earlier_run_covers_an_alert_even_from_before_the_range(
    past: HistoryRig,
) -> None:
    await past.handled("a", BAD, 9, NOW - timedelta(hours=24, minutes=10))
    await past.alert("b", BAD, NOW - timedelta(hours=23, minutes=50))
    await past.handled("c", BAD, 9, NOW - timedelta(hours=20))
    assert differences(await past.try_(LIVE)) == {}
    found = differences(await past.try_(LIVE.replace("within: 1h", "within: 5m")))
    assert [each for each, _ in found[OutcomeDifference.STARTED_ONLY_NOW]] == ["b"]


async def test_record_of_the_same_alert_is_preferred_to_a_nearer_one(past: HistoryRig) -> None:
    await past.handled("late", BAD, 9, NOW - timedelta(hours=5), ran=NOW - timedelta(hours=4))
    await past.handled("near", BAD, 2, NOW - timedelta(hours=5, minutes=1))
    assert differences(await past.try_(LIVE.replace("within: 1h", "within: 1s"))) == {}


async def test_alert_without_run_uses_the_nearest_record(past: HistoryRig) -> None:
    await past.handled("a", BAD, 2, NOW - timedelta(hours=5))
    await past.handled("b", BAD, 9, NOW - timedelta(hours=2))
    await past.alert("c", BAD, NOW - timedelta(minutes=50))
    await past.alert("d", BAD, NOW - timedelta(hours=3, minutes=50))
    assert differences(await past.try_(LIVE)) == {
        OutcomeDifference.STARTED_ONLY_NOW: [
            ("d", ("would end completed",)),
            ("c", ("would end completed",)),
        ],
        OutcomeDifference.CONTAINED_MORE: [("c", (f"firewall.block_address {BAD}",))],
    }


async def test_missing_record_is_reported_as_unknown(past: HistoryRig) -> None:
    await past.alert("a", BAD)
    strict = differences(await past.try_(LIVE))
    assert strict[OutcomeDifference.CANNOT_TELL][0][1][0].startswith(
        "what reputation.lookup_address would answer at step verdict was not"
    )
    assert OutcomeDifference.CONTAINED_MORE not in strict
    unknown = differences(await past.try_(LIVE, reads=ReadFallback.UNKNOWN))
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
async def test_expression_on_an_unknown_value_is_unknown(past: HistoryRig, when: str) -> None:
    await past.alert("a", BAD)
    text = LIVE.replace("steps.verdict.malicious >= 5", f'"{when}"').replace(
        "    for: 24h", "    for: 24h\n    on_error: continue"
    )
    found = differences(await past.try_(text, reads=ReadFallback.UNKNOWN))
    assert found.keys() == {OutcomeDifference.STARTED_ONLY_NOW, OutcomeDifference.CANNOT_TELL}


async def test_steps_without_the_unknown_value_are_compared(past: HistoryRig) -> None:
    await past.alert("a", BAD)
    further = (
        LIVE
        + f'  - id: worse\n    use: firewall.block_address\n    with: {{address: "{WORSE}"}}\n    for: 24h\n'
    )
    found = differences(await past.try_(further, reads=ReadFallback.UNKNOWN))
    assert found[OutcomeDifference.CONTAINED_MORE] == [("a", (f"firewall.block_address {WORSE}",))]
    assert found[OutcomeDifference.CANNOT_TELL]


async def test_unknown_value_in_a_message_only_is_no_difference(
    past: HistoryRig,
) -> None:
    await past.alert("a", BAD)
    text = (
        LIVE.partition("  - id: block")[0]
        + '  - id: tell\n    use: chat.post\n    with: {channel: soc, text: "${{ steps.verdict.link }}"}\n'
    )
    assert OutcomeDifference.CANNOT_TELL not in differences(
        await past.try_(text, reads=ReadFallback.UNKNOWN)
    )


async def test_stub_answers_without_a_record(past: HistoryRig) -> None:
    await past.handled("a", GOOD, 0)
    await past.alert("b", BAD)
    tests = "playbook: block-guesser\nstubs:\n  reputation.lookup_address: {output: {malicious: 9}}\ncases: [{name: x, triggers: false}]\n"
    found = await past.try_(LIVE, reads=ReadFallback.STUB, tests=full(tests))
    assert differences(found)[OutcomeDifference.CONTAINED_MORE] == [
        ("b", (f"firewall.block_address {BAD}",))
    ]
    assert (found.reads.recorded, found.reads.stub) == (1, 1)
    with pytest.raises(Invalid, match="needs stubs"):
        await past.try_(LIVE, reads=ReadFallback.STUB)


def full(tests: str) -> str:
    answer = "{known: true, malicious: 9, suspicious: 0, harmless: 0, undetected: 0, reputation: 0, tags: [], link: null}"
    return tests.replace("{malicious: 9}", answer)


async def test_live_reads_run_on_a_worker_and_change_nothing(past: HistoryRig) -> None:
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
    found = await run_backtest_for_api(
        past.rt,
        request_worker(past.rt, (LIVE_BACKTEST_HANDLER,)),
        BacktestPlaybook(text=LIVE),
        BacktestRequest(since=timedelta(days=1), reads=ReadFallback.LIVE),
        seconds=60,
    )
    assert (found.reads.live, found.reads.unknown) == (2, 0)
    assert OutcomeDifference.CANNOT_TELL not in differences(found)
    assert sum(each["count"] for each in world.effects) == 0


async def test_failed_step_is_reported_with_its_reason(past: HistoryRig) -> None:
    await past.handled("a", BAD, 9)
    found = differences(
        await past.try_(LIVE.replace("steps.verdict.malicious >= 5", "alert.host.name == 'x'"))
    )
    assert found[OutcomeDifference.FAILED][0][1][0].startswith("step block: alert.host")


async def test_limit_of_runs_applies(past: HistoryRig) -> None:
    await past.handled("a", BAD, 9, NOW - timedelta(hours=2))
    await past.handled("b", WORSE, 9, NOW - timedelta(hours=1, minutes=30))
    found = differences(
        await past.try_(LIVE.replace("steps:", "limits: {runs_per_hour: 1}\nsteps:", 1))
    )
    assert found[OutcomeDifference.FAILED] == [
        ("b", ("the run: it waits for an approval: its limit of 1 runs per hour is used up",))
    ]


async def test_run_over_the_limit_is_no_difference(past: HistoryRig) -> None:
    limited = LIVE.replace("steps:", "limits: {runs_per_hour: 1}\nsteps:", 1)
    await past.handled("a", BAD, 9, NOW - timedelta(hours=2))
    await past.over_limit("b", WORSE, NOW - timedelta(hours=1, minutes=30))
    assert differences(await past.try_(limited)) == {}


async def test_approved_run_over_the_limit_is_no_difference(past: HistoryRig) -> None:
    limited = LIVE.replace("steps:", "limits: {runs_per_hour: 1}\nsteps:", 1)
    await past.handled("a", BAD, 9, NOW - timedelta(hours=2))
    await past.handled("b", WORSE, 9, NOW - timedelta(hours=1, minutes=30), over_limit=1)
    assert differences(await past.try_(limited)) == {}


async def test_alert_whose_run_is_still_open_is_left_out(past: HistoryRig) -> None:
    await past.handled("a", GOOD, 0)
    await past.handled("b", BAD, 0, still_open=True)
    found = await past.try_(LIVE)
    assert (found.alerts, found.open, found.differs) == (1, 1, False)


async def test_other_classes_sources_and_times_are_ignored(past: HistoryRig) -> None:
    await past.alert("other", BAD, alert_class="malware")
    await past.handled("old", BAD, 9, NOW - timedelta(days=3))
    await past.handled("a", BAD, 9)
    await past.alert("b", WORSE, source="else")
    found = await past.try_(LIVE, source="test")
    assert (found.alerts, found.started_now) == (2, 1)
    newest = await past.try_(LIVE, limit=1)
    assert (newest.alerts, newest.more_alerts) == (1, True)


async def test_changes_are_counted_by_day(past: HistoryRig) -> None:
    await past.handled("a", BAD, 9, NOW - timedelta(hours=3))
    found = await past.try_(LIVE.replace(">= 5", ">= 50"))
    assert [(day.day, day.alerts, day.contained_then, day.contained_now) for day in found.days] == [
        ("2026-03-09", 1, 1, 0)
    ]


async def test_nothing_is_written(past: HistoryRig) -> None:
    await past.handled("a", BAD, 9)
    before = await rows(past)
    await past.try_(LIVE.replace(">= 5", ">= 1"), reads=ReadFallback.UNKNOWN)
    assert await rows(past) == before


async def rows(past: HistoryRig) -> list[int]:
    async with past.rt.store.read() as session:
        return [
            int(await session.scalar(select(func.count()).select_from(table)) or 0)
            for table in (RunRow, StepRow, AuditEventRow)
        ]


async def test_playbook_without_trigger_or_of_another_name_is_refused(past: HistoryRig) -> None:
    head = LIVE.partition("trigger:")[0]
    with pytest.raises(Invalid, match="has no trigger"):
        await past.try_(
            head + "steps:\n  - {id: tell, use: chat.post, with: {channel: soc, text: x}}\n"
        )
    with pytest.raises(Invalid, match="is the playbook block-guesser, not other"):
        await run_backtest(
            past.rt,
            BacktestPlaybook(text=LIVE, name="other"),
            BacktestRequest(since=timedelta(days=1)),
        )


async def test_backtest_ends_at_its_time_limit(past: HistoryRig) -> None:
    await past.handled("a", BAD, 9)
    with pytest.raises(Unavailable, match="fewer at once"):
        await run_backtest(
            past.rt,
            BacktestPlaybook(text=LIVE),
            BacktestRequest(since=timedelta(days=1)),
            seconds=0,
        )
