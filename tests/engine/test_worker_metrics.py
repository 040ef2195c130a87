"""A worker serves metrics of its calls of connectors and of the audit events that it commits."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from connectors.sdk.call import ActionCall, CallReport
from connectors.sdk.transport import Access
from orchestrator.audit import trail
from orchestrator.connections.open import open_connection_for
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import ActionError
from orchestrator.engine.temporal.metrics import WorkerMetrics, serve_metrics
from orchestrator.settings import Settings
from tests.harness.activity_rig import START, ActivityRig, rig

ADDRESS = {"address": "198.51.100.7"}


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ActivityRig]:
    async with rig(tmp_path) as made:
        yield made


@pytest.fixture
def served(bench: ActivityRig) -> Scrape:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    telemetry = serve_metrics(Settings(worker_metrics_port=port))
    assert telemetry is not None
    metrics = WorkerMetrics(telemetry)
    bench.rt.connections.observer = metrics.observe_call
    bench.rt.store.on_events = metrics.count_events
    return Scrape(port)


class Scrape:
    """The metrics as Prometheus reads them."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/metrics"

    def text(self) -> str:
        return httpx.get(self._url, trust_env=False).text

    def value(self, name: str, **labels: str) -> float:
        """Return the sum of a metric over its other labels."""
        wanted = [f'{label}="{text}"' for label, text in labels.items()]
        lines = [line for line in self.text().splitlines() if line.startswith(f"{name}{{")]
        return sum(
            float(line.rpartition(" ")[2]) for line in lines if all(each in line for each in wanted)
        )


async def test_calls_are_counted_and_timed_by_connection_and_operation(
    bench: ActivityRig, served: Scrape
) -> None:
    call = ActionCall.bare("key")
    firewall = await open_connection_for(bench.rt, "firewall", Access.WRITE)
    planned = await firewall.plan("block_address", ADDRESS, call)
    output = await firewall.apply("block_address", planned, call)
    assert await firewall.verify("block_address", ADDRESS, planned, output, call)
    await firewall.undo("block_address", planned, call)
    labels = {"connection": "firewall", "connector": "palo_alto", "action": "block_address"}
    for operation in ("plan", "apply", "verify", "undo"):
        calls = served.value(
            "tocsin_connector_calls_total", operation=operation, outcome="ok", **labels
        )
        timed = served.value(
            "tocsin_connector_seconds_count", operation=operation, connection="firewall"
        )
        assert (calls, timed) == (1, 1), operation


async def test_failed_call_is_counted_by_what_may_be_done_and_its_text_is_not_served(
    bench: ActivityRig, served: Scrape
) -> None:
    call = ActionCall.bare("key")
    firewall = await open_connection_for(bench.rt, "firewall", Access.READ)
    with pytest.raises(ActionError):
        await firewall.plan("block_address", {"address": "not-an-address-s3cret"}, call)
    rejected = served.value("tocsin_connector_calls_total", operation="plan", outcome="rejected")
    assert rejected == 1
    assert "s3cret" not in served.text()


async def test_repeated_call_is_counted_as_a_retry(bench: ActivityRig, served: Scrape) -> None:
    firewall = await open_connection_for(bench.rt, "firewall", Access.READ)
    for attempt in (1, 2, 3):
        call = replace(ActionCall.bare("key"), attempt=attempt)
        await firewall.plan("block_address", ADDRESS, call)
    assert served.value("tocsin_connector_retries_total", connection="firewall") == 2


async def test_audit_event_is_counted_once_its_transaction_is_committed(
    bench: ActivityRig, served: Scrape
) -> None:
    async def record(*, fails: bool) -> None:
        async with bench.rt.store.write() as session:
            await trail.record(
                session,
                EventKind.PLAYBOOK_PUBLISHED,
                actor="person:ann",
                subject="contain",
                data={},
                now=START,
                event_id="the same",
            )
            if fails:
                raise RuntimeError

    with pytest.raises(RuntimeError):
        await record(fails=True)
    await record(fails=False)
    await record(fails=False)  # is there already
    kind = EventKind.PLAYBOOK_PUBLISHED.value
    assert served.value("tocsin_audit_events_total", kind=kind) == 1


def test_number_of_connections_in_the_labels_is_bounded(served: Scrape, bench: ActivityRig) -> None:
    observe = bench.rt.connections.observer
    assert observe is not None
    for each in range(300):
        observe(
            f"connection-{each}", "palo_alto", CallReport("block_address", "plan", 1, 0.1, None)
        )
    assert served.value("tocsin_connector_calls_total", connection="other") == 100


def test_worker_works_without_metrics_where_their_port_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert serve_metrics(Settings(worker_metrics_port=taken.getsockname()[1])) is None


def test_nothing_is_served_without_a_port() -> None:
    assert serve_metrics(Settings()) is None
