"""Is a backtest shown truly, with hostile titles made harmless, and with the right exit code?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestrator.authoring.backtest.page import render_backtest, make_plot
from orchestrator.authoring.backtest.report import Day
from orchestrator.cli.app import app
from tests.harness.history_rig import LIVE, Rig, rig

HOSTILE = "<script>alert(1)</script>\x1b[31m"


@pytest.fixture
async def past(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path) as made:
        yield made


async def test_the_page_escapes_what_an_alert_says_and_loads_nothing(past: Rig) -> None:
    await past.handled("a", "198.51.100.7", 9, title=HOSTILE)
    page = render_backtest(await past.try_(LIVE.replace(">= 5", ">= 50")))
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "default-src 'none'" in page
    assert "http" not in page.replace("http-equiv", "")
    assert "Contained less: 1 alert" in page


def test_days_without_alerts_have_their_place_in_the_plot() -> None:
    plot = make_plot(
        [
            Day(day="2026-03-01", alerts=4, contained_then=1),
            Day(day="2026-03-04", alerts=2, contained_now=2),
        ]
    )
    assert [bar.height > 0 for bar in plot.bars] == [True, False, False, True]
    assert plot.bars[0].height == 2 * plot.bars[3].height
    assert [len(line.dots) for line in plot.lines] == [4, 4, 4]


def test_the_command_tells_by_its_exit_code_whether_anything_differs(tmp_path: Path) -> None:
    async def filled() -> None:
        async with rig(tmp_path) as past:
            await past.handled(
                "a", "198.51.100.7", 9, datetime.now(UTC) - timedelta(hours=2), title=HOSTILE
            )

    asyncio.run(filled())
    draft = tmp_path / "draft"
    draft.mkdir()
    where = ["--data-dir", str(tmp_path / "data")]
    (draft / "playbook.yaml").write_text(LIVE)
    same = CliRunner().invoke(app, ["backtest", f"block-guesser@{draft}", *where])
    assert same.exit_code == 0
    assert "no difference" in same.output
    (draft / "playbook.yaml").write_text(LIVE.replace(">= 5", ">= 50"))
    differs = CliRunner().invoke(
        app,
        [
            "backtest",
            f"block-guesser@{draft / 'playbook.yaml'}",
            *where,
            "--html",
            str(tmp_path / "b.html"),
        ],
    )
    assert differs.exit_code == 1
    assert "contained less: 1 alert" in differs.output
    assert "\x1b" not in differs.output
    assert (tmp_path / "b.html").exists()
    assert CliRunner().invoke(app, ["backtest", "block-guesser@3", *where]).exit_code == 2
