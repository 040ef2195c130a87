"""What would a draft have done with the demo's alerts? A stricter c2 playbook is tried on them; nothing is touched."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import playbooks
from orchestrator.authoring.backtest.page import backtest_page
from orchestrator.authoring.backtest.read_resolver import Reads
from orchestrator.authoring.backtest.service import Draft, Wish, backtested
from orchestrator.runtime import Runtime

_NAME = "c2-beacon-containment"
_MORE = 70
"""Engines that have to call a server malicious before nobody is asked; the version that ran wants 10."""


async def tried_on_them(runtime: Runtime, page: Path) -> list[str]:
    """What differs, as lines; the whole is written as a page."""
    text = playbooks.folder(_NAME).joinpath("playbook.yaml").read_text("utf-8")
    draft = text.replace("default(0) < 10", f"default(0) < {_MORE}").replace(
        "version: 1", "version: 2"
    )
    found = await backtested(
        runtime,
        Draft(text=draft, file=f"{_NAME}.yaml"),
        Wish(since=timedelta(days=1), reads=Reads.UNKNOWN),
    )
    _write(page, backtest_page(found))
    head = f"{_NAME} that asks below {_MORE} engines: {found.alerts} alerts, started {found.started_now} times ({found.started_then} then)"
    lines = [
        f"{each.difference.value}: {each.count}, such as {'; '.join(each.examples[0].what)}"
        for each in found.groups
    ]
    return [head, *(lines or ["no difference"]), f"{page} shows it over time"]


def _write(page: Path, text: str) -> None:
    page.write_text(text, "utf-8")
