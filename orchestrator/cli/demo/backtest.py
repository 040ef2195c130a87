"""The demo's backtest: a stricter c2 playbook, played over the demo's alerts."""

from __future__ import annotations

from pathlib import Path

import playbooks
from orchestrator.authoring.backtest.page import render_backtest
from orchestrator.authoring.backtest.report import Backtest
from orchestrator.cli.demo.api import RetryingApi
from orchestrator.cli.options import write_text

_NAME = "c2-beacon-containment"
_ENGINES = 70
"""The draft asks people below this number of engines; the published version, below 10."""


async def backtest_draft(api: RetryingApi, page: Path) -> list[str]:
    """Return the differences as lines, and write the whole backtest as a page."""
    text = playbooks.folder(_NAME).joinpath("playbook.yaml").read_text("utf-8")
    draft = text.replace("default(0) < 10", f"default(0) < {_ENGINES}").replace(
        "version: 1", "version: 2"
    )
    body = {"playbook": {"text": draft}, "since": "1d", "reads": "unknown"}
    found = Backtest.model_validate(await api.post("/v1/backtests", body))
    write_text(page, render_backtest(found))
    head = (
        f"{_NAME} that asks below {_ENGINES} engines: {found.alerts} alerts, "
        f"{found.started_now} runs ({found.started_then} then)"
    )
    lines = [
        f"{each.difference.value}: {each.count}, such as {'; '.join(each.examples[0].what)}"
        for each in found.groups
    ]
    return [head, *(lines or ["no difference"]), f"plot over time: {page}"]
