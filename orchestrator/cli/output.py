"""How is an answer printed: a table for a person, JSON for a program."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from rich.text import Text

console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)

_UNBROKEN = 1000  # columns

Item = BaseModel | Mapping[str, Any]


def listing(items: Iterable[Item], columns: Sequence[str], *, as_json: bool = False) -> None:
    """One line per item. Text from outside is printed as it is, never as markup."""
    rows = [plain(item) for item in items]
    if as_json:
        show_json(rows)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(row.get(column))) for column in columns))
    _wide().print(table) if rows else say("none")


def show_json(value: Any) -> None:
    """Indented JSON."""
    console.out(json.dumps(value, indent=2, ensure_ascii=False, default=str), highlight=False)


def say(text: str) -> None:
    """A line as it stands, at once; control characters in it are made visible."""
    console.out(visible(text), highlight=False)


def _wide() -> Console:
    """As wide as the terminal; where the output goes to a file or a program, no line is broken for width."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_UNBROKEN)


def plain(item: Item) -> dict[str, Any]:
    """As JSON has it."""
    return item.model_dump(mode="json") if isinstance(item, BaseModel) else dict(item)


def _cell(value: Any) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return ", ".join(_cell(one) for one in value) or "-"
        case dict():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return visible(str(value))


def visible(text: str) -> str:
    """An alert must not be able to move the cursor of whoever reads about it."""
    return "".join(
        mail if mail.isprintable() or mail == "\n" else f"\\x{ord(mail):02x}" for mail in text
    )
