"""The age of an alert: a number of seconds that is the same whenever a run is replayed."""

from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.authoring.rehearsal.alert_fields import EMPTY_ALERT, START_TIME
from orchestrator.authoring.rehearsal.rehearse import rehearse
from orchestrator.authoring.rehearsal.tests_yaml.read import read_tests
from orchestrator.domain.alert import with_age
from tests.harness.playbook_texts import compiled

RECEIVED = datetime(2026, 3, 1, 12, tzinfo=UTC)
PLAYBOOK = """\
playbook: fresh
version: 1
title: Tell about what is fresh
owner: soc
trigger:
  when: alert.class == 'malware' and alert.age < '2d' | duration
steps:
  - id: tell
    use: chat.post
    with: {channel: soc, text: "${{ alert.age }} s old"}
  - id: over
    wait: {event: "event.resolved and event.age < '1h' | duration", within: 5h, otherwise: continue}
  - id: late
    when: not steps.over.waited
    use: chat.post
    with: {channel: soc, text: still there}
"""
TESTS = """\
playbook: fresh
cases:
  - name: an hour old
    given: {alert: {class: malware, time: '2025-12-31T23:00:00Z'}}
    alerts:
      - {after: 2h, alert: {resolved: true, time: '2025-12-31T23:30:00Z'}}
      - {after: 3h, alert: {resolved: true, time: '2026-01-01T02:30:00Z'}}
    expect: {status: completed, applied: [chat.post]}
  - name: two days old
    given: {alert: {class: malware, time: '2025-12-30T00:00:00Z'}}
    triggers: false
"""


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("2026-03-01T11:00:00Z", 3_600),
        ("2026-03-01T13:59:59+02:00", 1),
        ("2026-02-27T12:00:00.900Z", 172_799),
        ("2026-03-01T12:00:05Z", 0),
    ],
)
def test_age_counts_from_the_time_of_the_alert_and_is_never_negative(
    time: str, seconds: int
) -> None:
    assert with_age({"time": time}, RECEIVED) == {"time": time, "age": seconds}


def test_age_leaves_the_stored_alert_as_it_is() -> None:
    assert with_age(EMPTY_ALERT, START_TIME + timedelta(hours=1))["age"] == 3_600
    assert "age" not in EMPTY_ALERT


async def test_old_alerts_start_nothing_and_old_events_end_no_wait() -> None:
    plan = compiled(PLAYBOOK).plan
    cases = read_tests(TESTS, "tests.yaml", plan)
    for case in cases.cases:
        found = await rehearse(plan, cases, case, lambda _: b"")
        assert not found.differences, (case.name, found.differences)
