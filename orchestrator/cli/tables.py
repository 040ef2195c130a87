"""Tables that fit a terminal: short ids, times in the local zone, long texts shortened."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from orchestrator.cli.output import escape_controls, print_line, print_styled

_ID = re.compile(r"[a-z]+_[0-9a-f]{32,64}|[0-9a-f]{32,64}")
_ID_LENGTH = 12  # hex digits that are shown of an id at least
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def print_table(
    items: Iterable[Mapping[str, Any]],
    columns: Sequence[str],
    *,
    optional: Sequence[str] = (),
    wide: bool = False,
) -> None:
    """Print one line per item. Text from outside is printed as it is, never as markup.

    `optional`: columns that a narrow terminal leaves out, the first one first, while the others
    would not be readable. Wide: with whole ids, times and texts. A file or a program gets whole
    texts too.
    """
    from rich.cells import cell_len
    from rich.console import Console

    rows = list(items)
    if not rows:
        print_line("none")
        return
    console = Console(highlight=False)
    cells = [_column([row.get(name) for row in rows], wide=wide) for name in columns]
    heads = [name.removesuffix("_at").replace("_", " ") for name in columns]
    widths = [max(map(cell_len, (head, *each))) for head, each in zip(heads, cells, strict=True)]
    if console.is_terminal and not wide:
        words = [all(_is_word(each) for each in column) for column in cells]
        kept = _readable(columns, widths, words, optional, console.width)
        heads, cells = [heads[at] for at in kept], [cells[at] for at in kept]
        widths, words = [widths[at] for at in kept], [words[at] for at in kept]
        widths = fit(widths, words, console.width - len(_GAP) * (len(kept) - 1))
    print_styled(_line(heads, widths), "bold")
    for row in zip(*cells, strict=True):
        print_line(_line(row, widths))


def _line(cells: Iterable[str], widths: Iterable[int]) -> str:
    from rich.cells import cell_len, set_cell_size

    fitted = (
        text + " " * (width - cell_len(text))
        if cell_len(text) <= width
        else set_cell_size(text, width - 1) + "…"
        for text, width in zip(cells, widths, strict=True)
    )
    return _GAP.join(fitted).rstrip()


def _readable(
    columns: Sequence[str],
    widths: Sequence[int],
    words: Sequence[bool],
    optional: Sequence[str],
    available: int,
) -> list[int]:
    """Return the places of the columns that fit with a readable part of each text."""
    left_out: set[str] = set()
    for name in (*optional, None):
        kept = [place for place, column in enumerate(columns) if column not in left_out]
        needed = [widths[at] if words[at] else min(widths[at], _READABLE) for at in kept]
        if name is None or sum(needed) + len(_GAP) * (len(kept) - 1) <= available:
            break
        left_out.add(name)
    return kept


def fit(widths: Sequence[int], words: Sequence[bool], available: int) -> list[int]:
    """Return widths that are `available` together: the widest texts are narrowed, words last."""
    fitted = list(widths)
    for shrinkable in ([not word for word in words], [True] * len(fitted)):
        while sum(fitted) > available:
            chosen = [
                (width, place)
                for place, (width, may) in enumerate(zip(fitted, shrinkable, strict=True))
                if may and width > _NARROWEST
            ]
            if not chosen:
                break
            fitted[max(chosen)[1]] -= 1
    return fitted


def format_time(moment: str | None, *, wide: bool = False) -> str:
    """Return a time of the API in the local zone: 01-02 22:58, with the year if it is another one.

    Wide: to the second, with the offset from UTC. `-` for None.
    """
    if moment is None:
        return "-"
    local = datetime.fromisoformat(moment).astimezone()
    if wide:
        return local.isoformat(sep=" ", timespec="seconds")
    this_year = local.year == datetime.now(UTC).astimezone().year
    return local.strftime("%m-%d %H:%M" if this_year else "%Y-%m-%d %H:%M")


def shorten_ids(ids: Sequence[str]) -> dict[str, str]:
    """Return each id with a prefix that no other of them has, of 12 hex digits or more."""
    length = _ID_LENGTH
    kinds = {each: each.rpartition("_") for each in ids}
    while True:
        short = {each: f"{kind}{mark}{tail[:length]}" for each, (kind, mark, tail) in kinds.items()}
        if len(set(short.values())) == len(short):
            return short
        length += 4


def _column(values: Sequence[Any], *, wide: bool) -> list[str]:
    """Return the cells of a column."""
    texts = [_cell(value, wide=wide) for value in values]
    if wide:
        return texts
    short = shorten_ids([text for text in texts if _ID.fullmatch(text)])
    return [short.get(text, text) for text in texts]


def _cell(value: Any, *, wide: bool) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return ", ".join(_cell(each, wide=wide) for each in value) or "-"
        case dict():
            return escape_controls(json.dumps(value, ensure_ascii=False))
        case str() if _TIME.fullmatch(value):
            return format_time(value, wide=wide)
        case _:
            return escape_controls(str(value)).replace("\n", "\\n")


def _is_word(text: str) -> bool:
    """Return whether a cell is short and without spaces, or a time, and is never shortened."""
    return len(text) <= _SHORT and (" " not in text or text[:1].isdigit())


_SHORT = 24  # characters
_NARROWEST = 6
_READABLE = 20
_GAP = "  "
