"""Ports are chosen, kept in the data directory, and refused by the option that changes them."""

import socket
from pathlib import Path

import pytest

from orchestrator.cli.stack import ports
from orchestrator.domain.errors import Invalid, NotFound


@pytest.fixture
def taken():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_taken_port_is_refused_by_the_option_to_change(taken: int) -> None:
    expected = f"--port {taken}: cannot listen on 127.0.0.1:{taken} .another program listens there"
    with pytest.raises(Invalid, match=expected):
        ports.listen("127.0.0.1", taken, "--port")


def test_a_preferred_port_that_is_taken_is_skipped(taken: int) -> None:
    assert ports.choose("127.0.0.1", taken) != taken


def test_the_ports_of_a_stack_are_read_back(tmp_path: Path) -> None:
    listening = ports.Listening(pid=1, host="0.0.0.0", api=8080, temporal=8081)
    ports.save_listening(tmp_path, listening)
    assert ports.load_listening(tmp_path) == listening
    assert listening.api_url == "http://127.0.0.1:8080"
    assert listening.lab_url is None


def test_a_torn_file_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / ports.FILE).write_text('{"pid": 1')
    assert ports.load_listening(tmp_path) is None


def test_a_data_directory_without_a_stack_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="start one with `tocsin up"):
        ports.load_running(tmp_path)
