"""The page of a backtest, and the exit code of its command."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestrator.authoring.backtest.page import make_plot, render_backtest
from orchestrator.authoring.backtest.report import Day
from tests.harness.api_server import api_server
from tests.harness.commands import tocsin
from tests.harness.history_rig import LIVE, HistoryRig, rig

HOSTILE = "<script>alert(1)</script>\x1b[31m"


@pytest.fixture
async def past(tmp_path: Path) -> AsyncIterator[HistoryRig]:
    async with rig(tmp_path) as made:
        yield made


async def test_page_escapes_alert_texts_and_loads_nothing(past: HistoryRig) -> None:
    await past.handled("a", "198.51.100.7", 9, title=HOSTILE)
    page = render_backtest(await past.try_(LIVE.replace(">= 5", ">= 50")))
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "default-src 'none'" in page
    assert "http" not in page.replace("http-equiv", "")
    assert "Contained less: 1 alert" in page


def test_days_without_alerts_keep_their_place_in_the_plot() -> None:
    plot = make_plot(
        [
            Day(day="2026-03-01", alerts=4, contained_then=1),
            Day(day="2026-03-04", alerts=2, contained_now=2),
        ]
    )
    assert [bar.height > 0 for bar in plot.bars] == [True, False, False, True]
    assert plot.bars[0].height == 2 * plot.bars[3].height
    assert [len(line.dots) for line in plot.lines] == [4, 4, 4]


def test_the_exit_code_of_the_command_says_whether_anything_differs(tmp_path: Path) -> None:
    async def filled() -> None:
        async with rig(tmp_path) as past:
            await past.handled(
                "a", "198.51.100.7", 9, datetime.now(UTC) - timedelta(hours=2), title=HOSTILE
            )

    asyncio.run(filled())
    draft = tmp_path / "draft"
    draft.mkdir()
    file, page = draft / "playbook.yaml", tmp_path / "b.html"
    with api_server(tmp_path / "data") as server:
        here = ("--data-dir", server.settings.data_dir)
        file.write_text(LIVE)
        same = tocsin("backtest", "run", f"block-guesser@{draft}", *here)
        assert same.returncode == 0, same.stderr
        assert "no difference" in same.stdout
        file.write_text(LIVE.replace(">= 5", ">= 50"))
        differs = tocsin("backtest", "run", f"block-guesser@{file}", "--html", page, *here)
        assert differs.returncode == 1, differs.stderr
        assert "contained less: 1 alert" in differs.stdout
        assert "\x1b" not in differs.stdout
        assert page.exists()
        assert tocsin("backtest", "run", "block-guesser@3", *here).returncode == 2
