"""A stack has as many workers as its machine or its operator says, each with its own port."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from orchestrator.cli.stack.ports import Listening
from orchestrator.cli.stack.programs import stack_programs
from orchestrator.cli.stack.workers import choose_metrics_ports, default_workers, worker_count
from orchestrator.settings import Settings
from tests.harness.commands import tocsin
from tests.harness.stack import free_port

VARIABLE = "TOCSIN_WORKER_METRICS_PORT"


def _settings(folder: Path, **given: int) -> Settings:
    return Settings(data_dir=folder, port=free_port(), **given)


@pytest.mark.parametrize(
    ("cores", "on_sqlite", "on_postgres"),
    [(1, 1, 1), (2, 1, 1), (3, 1, 1), (4, 2, 2), (8, 4, 4), (32, 4, 16)],
)
def test_half_of_the_cores_are_for_workers_and_at_most_four_on_sqlite(
    cores: int, on_sqlite: int, on_postgres: int
) -> None:
    assert default_workers(cores, sqlite=True) == on_sqlite
    assert default_workers(cores, sqlite=False) == on_postgres


def test_the_number_that_is_set_counts_more_than_the_cores(tmp_path: Path) -> None:
    cores = len(os.sched_getaffinity(0))
    assert worker_count(_settings(tmp_path)) == default_workers(cores, sqlite=True)
    assert worker_count(_settings(tmp_path, workers=7)) == 7


def test_a_number_of_workers_below_one_is_refused(tmp_path: Path) -> None:
    refused = tocsin("up", "--workers", 0, "--data-dir", tmp_path / "data")
    assert (refused.returncode, "--workers" in refused.stderr) == (2, True)
    assert not (tmp_path / "data").exists()


def test_the_first_worker_takes_the_port_that_is_set_and_the_next_ones_follow(
    tmp_path: Path,
) -> None:
    port = free_port()
    chosen = choose_metrics_ports(_settings(tmp_path, workers=3, worker_metrics_port=port), None)
    assert list(chosen) == ["worker", "worker-2", "worker-3"]
    assert chosen["worker"] == port
    assert len(set(chosen.values())) == 3


def test_workers_keep_the_ports_of_the_last_start_where_those_are_free(tmp_path: Path) -> None:
    settings = _settings(tmp_path, workers=3)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        first, second, busy = free_port(), free_port(), taken.getsockname()[1]
        workers: dict[str, int | None] = {"worker": first, "worker-2": second, "worker-3": busy}
        before = Listening(pid=1, host="127.0.0.1", api=1, workers=workers)
        chosen = choose_metrics_ports(settings, before)
    assert (chosen["worker"], chosen["worker-2"]) == (first, second)
    assert chosen["worker-3"] not in {first, second, busy}


def test_a_port_that_is_set_is_not_given_to_the_worker_that_had_it_before(tmp_path: Path) -> None:
    port = free_port()
    before = Listening(pid=1, host="127.0.0.1", api=1, workers={"worker-2": port})
    settings = _settings(tmp_path, workers=2, worker_metrics_port=port)
    assert choose_metrics_ports(settings, before)["worker-2"] != port


def test_each_worker_is_a_program_of_its_own(tmp_path: Path) -> None:
    workers: dict[str, int | None] = {"worker": 4, "worker-2": 5, "worker-3": None}
    listening = Listening(pid=1, host="127.0.0.1", api=1, workers=workers)
    programs = stack_programs(_settings(tmp_path), None, listening, {})
    found = {each.name: each for each in programs}
    assert list(found) == ["api", *workers]
    assert {found[name].command for name in workers} == {found["worker"].command}
    served = [found[name].environment.get(VARIABLE) for name in ("worker", "worker-2")]
    assert served == ["4", "5"]
    assert VARIABLE not in found["api"].environment
    assert listening.metrics_urls == {
        "worker": "http://127.0.0.1:4/metrics",
        "worker-2": "http://127.0.0.1:5/metrics",
    }
