"""Printing: tables and lines for a person, JSON for a program."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

_UNBROKEN = 1000  # columns


def print_table(items: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Print one line per item. Text from outside is printed as it is, never as markup."""
    from rich.table import Table
    from rich.text import Text

    rows = list(items)
    if not rows:
        print_line("none")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(row.get(column))) for column in columns))
    _print_wide(table)


def print_json(value: Any) -> None:
    """Print indented JSON."""
    print_raw(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def print_line(text: str) -> None:
    """Print text and a line break at once, with its control characters made visible."""
    print_raw(escape_controls(text) + "\n")


def print_error(text: str) -> None:
    """Print a line to stderr."""
    sys.stderr.write(escape_controls(text) + "\n")


def print_raw(text: str) -> None:
    """Print text byte for byte."""
    sys.stdout.write(text)
    sys.stdout.flush()


def print_styled(text: str, style: str, *, plain: str = "") -> None:
    """Print a line whose first part, `text`, has a style where the terminal shows colours."""
    from rich.console import Console
    from rich.text import Text

    line = Text(escape_controls(text), style=style) + Text(escape_controls(plain))
    Console(highlight=False, soft_wrap=True).print(line)


def escape_controls(text: str) -> str:
    """Return the text with visible control characters, so that an alert cannot move the cursor."""
    return "".join(
        each if each.isprintable() or each == "\n" else f"\\x{ord(each):02x}" for each in text
    )


def to_minute(moment: str) -> str:
    """Return a time of the API (ISO 8601, UTC) to the minute: 2026-01-01 12:00."""
    return datetime.fromisoformat(moment).strftime("%Y-%m-%d %H:%M")


def _print_wide(table: Any) -> None:
    """Print as wide as the terminal; into a file or a program, break no line."""
    from rich.console import Console

    console = Console(highlight=False)
    (console if console.is_terminal else Console(highlight=False, width=_UNBROKEN)).print(table)


def _cell(value: Any) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return ", ".join(_cell(each) for each in value) or "-"
        case dict():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return escape_controls(str(value))
