"""One trace leads from the webhook over Temporal to the calls of systems, without secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.otlp_collector import Collected, collecting
from tests.harness.stack import Stack, attack_from, until

pytestmark = pytest.mark.stack
TOKEN = "Bearer of-the-collector"


def ancestors(span: Collected, by_id: dict[str, Collected]) -> list[str]:
    """Return the names of the spans around a span, the nearest first."""
    found = []
    while (parent := by_id.get(span.parent)) is not None:
        found.append(parent.name)
        span = parent
    return found


def test_an_alert_is_one_trace_from_the_webhook_to_the_vendor(tmp_path: Path) -> None:
    with collecting() as collector:
        given = {"TOCSIN_OTLP_ENDPOINT": collector.url, "TOCSIN_OTLP_AUTHORIZATION": TOKEN}
        stack = Stack(tmp_path / "data", **given)
        stack.start()
        try:
            secret = stack.source("edge")
            accepted = stack.send("edge", secret, attack_from("203.0.113.77")).json()["alerts"][0]
            assert stack.run_of(accepted)["status"] == "completed"
            admin = (stack.folder / "admin.key").read_text().strip()
        finally:
            stack.end()  # sends what waits
    [webhook] = [each for each in collector.spans if each.name == "POST /v1/webhooks/{source}"]
    assert webhook.attributes["http.response.status_code"] == 202
    by_id = {each.id: each for each in collector.spans}
    calls = [each for each in collector.spans if each.name.startswith("HTTP ")]
    traced = [each for each in calls if each.trace == webhook.trace]
    assert {"tocsin-worker"} == {each.service for each in traced}
    ways = [ancestors(each, by_id) for each in traced]
    applied = [way for way in ways if any(name.startswith("apply ") for name in way)]
    assert applied
    for way in applied:
        assert "StartWorkflow:RunPlaybook" in way
        assert way[-1] == "POST /v1/webhooks/{source}"
    until(lambda: collector.authorizations == {TOKEN}, 5, "the credential")
    for body in collector.bodies:
        for text in (secret, admin, TOKEN, "203.0.113.77"):
            assert text.encode() not in body
