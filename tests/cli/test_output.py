"""Output: what came from outside is printed as it is, and harmless."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from ruamel.yaml import YAML

from orchestrator.cli.output import print_json, print_line, print_yaml
from orchestrator.cli.tables import format_time, print_table, shorten_ids


def test_markup_and_control_characters_of_an_alert_stay_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_table([{"title": "[bold]x[/bold] \x1b[2J"}], ("title",))
    out = capsys.readouterr().out
    assert "[bold]x[/bold]" in out
    assert "\x1b" not in out


def test_a_line_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    print_line("before\x1b]0;title\x07after [red]")
    assert capsys.readouterr().out == "before\\x1b]0;title\\x07after [red]\n"


def test_an_empty_table_is_one_word(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([], ("id",))
    assert capsys.readouterr().out == "none\n"


def test_json_keeps_every_character(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"title": "\x1b[2J ü [red]"})
    assert json.loads(capsys.readouterr().out) == {"title": "\x1b[2J ü [red]"}


RUN = "run_01a2248758b954821a4e639167404b72"
OTHER = "run_01a2248758b954821a4e639167404b73"


def run(**more: Any) -> dict[str, Any]:
    return {
        "id": RUN,
        "playbook": "a-playbook-with-a-name-that-is-quite-long",
        "status": "rolled_back",
        "created_at": "2019-01-02T22:58:01.5Z",
        "error": "step block: " + "the firewall refuses it because of its own policy; " * 4,
        **more,
    }


@pytest.mark.usefixtures("terminal")
def test_a_table_fits_the_terminal_with_a_line_for_each_item(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_table([run(), run(id=RUN.replace("8b9", "8c8"))], tuple(run()))
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split() == ["id", "playbook", "status", "created", "error"]
    assert [line.split()[0] for line in lines] == ["run_01a2248758b9", "run_01a2248758c8"]
    assert all(len(line) <= 100 for line in lines)
    assert all("2019-01-02 23:58" in line for line in lines)  # the local zone, and not this year
    assert all(line.rstrip().endswith("…") for line in lines)


@pytest.mark.usefixtures("terminal")
def test_a_wide_table_shortens_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([run(error="no")], ("id", "created_at", "error"), wide=True)
    assert f"{RUN}  2019-01-02 23:58:01+01:00  no" in capsys.readouterr().out


def test_a_program_gets_whole_texts(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([run()], tuple(run()))
    _, line = capsys.readouterr().out.splitlines()
    assert line.rstrip().endswith(run()["error"].rstrip())


def test_ids_are_shortened_as_far_as_they_stay_different() -> None:
    assert shorten_ids([RUN]) == {RUN: "run_01a2248758b9"}
    assert shorten_ids([RUN, OTHER]) == {RUN: RUN, OTHER: OTHER}
    assert shorten_ids([]) == {}


def test_id_of_an_audit_event_is_shortened(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([{"id": "evt_64c402c948a061a5b5ff3cedc76cc060936b93a0"}], ("id",))
    assert capsys.readouterr().out.split() == ["id", "evt_64c402c948a0"]


def test_a_time_of_this_year_has_no_year() -> None:
    now = datetime.now(UTC)
    assert format_time(now.isoformat()) == now.astimezone().strftime("%m-%d %H:%M")
    assert format_time(None) == "-"


def test_yaml_is_the_data(capsys: pytest.CaptureFixture[str]) -> None:
    print_yaml({"b": [1, None], "a": {"title": "x: [red]\n"}})
    assert YAML(typ="safe").load(capsys.readouterr().out) == {
        "b": [1, None],
        "a": {"title": "x: [red]\n"},
    }
