"""Table of containments in 120 columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchestrator.cli.output import escape_controls, print_line
from orchestrator.cli.tables import format_time

WIDTH = 120  # columns
_COLUMNS = (
    ("id", 8),
    ("state", None),
    ("what", None),
    ("on", None),
    ("by", None),
    ("why", None),
    ("since", None),
    ("until", None),
    ("verified", None),
)
"""Each column with its fixed width; None: as wide as needed, up to `_MAX_WIDTH`."""
_TIME_WIDTH = 16  # with the year, where it is not this one
_MAX_WIDTH = {
    "state": 7,
    "what": 22,
    "on": 14,
    "by": 14,
    "why": 15,
    **dict.fromkeys(("since", "until", "verified"), _TIME_WIDTH),
}


def print_containments(items: Sequence[dict[str, Any]]) -> None:
    """Print one row each. Text from outside is printed as it is, never as markup."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not items:
        print_line("none")
        return
    table = Table(
        box=None, pad_edge=False, padding=(0, 1, 0, 0), collapse_padding=True, header_style="bold"
    )
    for name, width in _COLUMNS:
        table.add_column(name, overflow="fold", width=width, max_width=width or _MAX_WIDTH[name])
    for item in items:
        table.add_row(*(Text(escape_controls(text)) for text in _row(item)))
    Console(highlight=False, width=WIDTH).print(table)


def _row(item: dict[str, Any]) -> tuple[str, ...]:
    live = [lease for lease in item["leases"] if lease["state"] == "live"]
    shown = live or item["leases"][-1:]
    by = ", ".join(sorted({lease["playbook"] or lease["run_id"] for lease in shown}))
    alerts = [lease["alert"] for lease in shown if lease["alert"]]
    why = next(iter([*alerts, *(lease["path"] for lease in shown)]), "-")
    device = item["device"]
    return (
        item["id"][:8],
        _state(item),
        f"{item['target']['value']} {item['action']}",
        item["connection"] if device is None else f"{item['connection']} ({device})",
        by or "-",
        why,
        format_time(item["created_at"]),
        _until(item, has_leases=bool(live)),
        format_time(item["verified_at"]),
    )


def _until(item: dict[str, Any], *, has_leases: bool) -> str:
    end = item["lifted_at"] or item["expires_at"]
    if end:
        return format_time(end)
    return "by hand" if has_leases else "now"


def _state(item: dict[str, Any]) -> str:
    """Return the state; `held, foreign` was in force before Tocsin, and stays."""
    more = [item["drift"]] if item["drift"] else []
    more += [] if item["ours"] or item["state"] == "lifted" else ["foreign"]
    more += [f"{item['failures']}x"] if item["failures"] else []
    return ", ".join([item["state"], *more])
