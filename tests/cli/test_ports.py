"""Are ports chosen, kept and refused as they should be?"""

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


def test_a_port_that_another_program_has_is_refused_by_the_option_to_change(taken: int) -> None:
    with pytest.raises(
        Invalid,
        match=f"--port {taken}: 127.0.0.1:{taken} cannot be had .another program listens there",
    ):
        ports.listen("127.0.0.1", taken, "--port")


def test_a_wish_that_is_taken_is_passed_over(taken: int) -> None:
    assert ports.choose("127.0.0.1", taken) != taken


def test_where_a_stack_listened_is_remembered(tmp_path: Path) -> None:
    listening = ports.Listening(pid=1, host="0.0.0.0", api=8080, temporal=8081)
    ports.remember(tmp_path, listening)
    assert ports.remembered(tmp_path) == listening
    assert listening.api_url == "http://127.0.0.1:8080"
    assert listening.lab_url is None


def test_a_torn_file_is_as_none(tmp_path: Path) -> None:
    (tmp_path / ports.FILE).write_text('{"pid": 1')
    assert ports.remembered(tmp_path) is None


def test_a_data_directory_without_a_stack_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="start one with `tocsin up"):
        ports.running(tmp_path)
