"""How is a list of containments printed? As a table that fits 120 columns."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.cli.show import say, visible

WIDTH = 120
_COLUMNS = (("key", 8), ("state", 7), ("what", 22), ("on", 14), ("by", 14), ("why", 15), ("since", 11), ("until", 11), ("seen", 11))


def print_containments(items: Sequence[dict[str, Any]]) -> None:
    """One row each. Text from outside is printed as it is, never as markup."""
    if not items:
        say("none")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), collapse_padding=True, header_style="bold")
    for name, width in _COLUMNS:
        table.add_column(name, overflow="fold", width=width if name not in _OPEN else None, max_width=width)
    for item in items:
        table.add_row(*(Text(visible(text)) for text in _row(item)))
    Console(highlight=False, width=WIDTH).print(table)


_OPEN = {"state", "what", "on", "by", "why"}


def _row(item: dict[str, Any]) -> tuple[str, ...]:
    live = [lease for lease in item["leases"] if lease["state"] == "live"]
    held = live or item["leases"][-1:]
    by = ", ".join(sorted({lease["playbook"] or lease["run_id"] for lease in held}))
    why = next((lease["alert"] for lease in held if lease["alert"]), None) or next((lease["path"] for lease in held), "-")
    on = item["connection"] if item["device"] is None else f"{item['connection']} ({item['device']})"
    until = _moment(item["lifted_at"] or item["until"]) if item["lifted_at"] or item["until"] else ("by hand" if live else "now")
    what = f"{item['target']['value']} {item['action']}"
    return item["key"][:8], _state(item), what, on, by or "-", why, _moment(item["since"]), until, _moment(item["verified_at"])


def _state(item: dict[str, Any]) -> str:
    """`held, theirs`: it was so before us, and stays."""
    more = [item["drift"]] if item["drift"] else []
    more += [] if item["ours"] or item["state"] == "lifted" else ["theirs"]
    more += [f"{item['failures']}x"] if item["failures"] else []
    return ", ".join([item["state"], *more])


def _moment(text: str | None) -> str:
    """Month, day and time in UTC."""
    return "-" if text is None else datetime.fromisoformat(text).strftime("%m-%d %H:%M")
