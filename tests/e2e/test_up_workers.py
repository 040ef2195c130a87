"""`tocsin up --workers 2`: both work on the same database and data directory, each is restarted."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.harness.stack import Stack, attack_from, tocsin, until

WORKERS = ["worker", "worker-2"]
_CALLS = re.compile(r"^tocsin_connector_calls_total\{.*\} ([0-9.e+]+)$", re.MULTILINE)
# Below .100: malicious to the lab's reputation service, so that no one is asked. The circuit breaker
# stops after 20 of them.
_addresses = (f"203.0.113.{number}" for number in range(20, 40))

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(sys.platform != "linux", reason="looks for children in /proc"),
]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("workers") / "data", "--workers", "2")
    stack.start()
    yield stack
    stack.end()


@pytest.fixture(scope="module")
def secret(stack: Stack) -> str:
    return stack.source("edge")


def _attacks(stack: Stack, secret: str, how_many: int) -> list[tuple[str, dict[str, Any]]]:
    """Send alerts about different attackers; return each with what was answered."""
    sent = []
    for address in islice(_addresses, how_many):
        reply = stack.send("edge", secret, attack_from(address))
        assert reply.status_code == 202, reply.text
        sent.append((address, reply.json()))
    return sent


def _calls(stack: Stack, worker: str) -> float:
    """How many calls of connectors a worker says it made."""
    port = stack.listening["workers"][worker]
    served = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=20).raise_for_status().text
    return sum(float(value) for value in _CALLS.findall(served))


def _require_contained_once(stack: Stack, sent: list[tuple[str, dict[str, Any]]]) -> None:
    for address, accepted in sent:
        assert stack.run_of(accepted)["status"] == "completed"
        blocked = [
            each["count"]
            for each in stack.lab()["palo_alto"]["effects"]
            if address in each["target"]
        ]
        assert blocked == [1]


def test_each_worker_has_a_name_a_log_and_a_port(stack: Stack) -> None:
    printed = stack.output.read_text()
    assert list(stack.listening["workers"]) == WORKERS
    for name, port in stack.listening["workers"].items():
        assert f"{name}: metrics: http://127.0.0.1:{port}/metrics" in printed
        assert "worker started" in (stack.folder / "logs" / f"{name}.log").read_text()
    checked = json.loads(tocsin("doctor", "--json", "--data-dir", stack.folder).stdout)
    said = json.dumps(checked)
    assert all(f"{name} serves its metrics at" in said for name in WORKERS)


def test_runs_are_worked_by_both(stack: Stack, secret: str) -> None:
    for _ in range(3):
        _require_contained_once(stack, _attacks(stack, secret, 3))
        if all(_calls(stack, name) for name in WORKERS):
            break
    assert [name for name in WORKERS if _calls(stack, name)] == WORKERS


@pytest.mark.parametrize("name", WORKERS)
def test_a_killed_worker_leaves_its_runs_to_the_other_and_is_restarted(
    stack: Stack, secret: str, name: str
) -> None:
    sent = _attacks(stack, secret, 5)
    stack.kill_child(name)
    _require_contained_once(stack, sent)
    assert f"{name} ended (signal 9); restart in" in stack.output.read_text()
    until(lambda: _calls(stack, name) >= 0, 60, f"the metrics of {name}")


def test_the_trail_that_both_seal_is_intact(stack: Stack, tmp_path: Path) -> None:
    here = ("--data-dir", stack.folder)
    assert tocsin("audit", "export", tmp_path / "trail", *here).returncode == 0
    trail, key = tmp_path / "trail", stack.folder / "audit.pub"
    anchor = ("--anchor", stack.folder / "audit.anchor")
    checked = tocsin("audit", "verify", trail, "--public-key", key, *anchor)
    assert checked.returncode == 0, checked.stdout


def test_both_end_in_order(stack: Stack) -> None:
    children = stack.children()
    assert {"worker", "worker-2"} <= set(children)
    assert stack.end() < 15
    assert not any(Path(f"/proc/{pid}").exists() for pid in children.values())
    logs = [(stack.folder / "logs" / f"{name}.log").read_text() for name in WORKERS]
    assert not any("Traceback" in text for text in logs)
