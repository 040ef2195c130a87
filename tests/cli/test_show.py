"""Is what came from outside printed as it is, and harmless?"""

import pytest

from orchestrator.cli.output import listing, say


def test_markup_and_control_characters_of_an_alert_stay_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    listing([{"title": "[bold]x[/bold] \x1b[2J"}], ("title",))
    out = capsys.readouterr().out
    assert "[bold]x[/bold]" in out
    assert "\x1b" not in out


def test_a_line_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    say("before\x1b]0;title\x07after [red]")
    assert capsys.readouterr().out == "before\\x1b]0;title\\x07after [red]\n"


def test_nothing_is_said_in_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    listing([], ("id",))
    assert capsys.readouterr().out == "none\n"
