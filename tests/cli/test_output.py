"""Output: what came from outside is printed as it is, and harmless."""

import json

import pytest

from orchestrator.cli.output import print_json, print_line, print_table


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
