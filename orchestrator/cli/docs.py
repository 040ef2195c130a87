"""Do the tables in docs/ say what the code says? `python -m orchestrator.cli.docs` writes them, `--check` fails where they differ."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from orchestrator.playbook.compile import results
from orchestrator.playbook.language.filters import FILTERS, Filter
from orchestrator.settings import PREFIX, Settings

DOCS = Path(__file__).parents[2] / "docs"
_OPENING, _CLOSING = "<!-- generated: {} -->", "<!-- /generated: {} -->"


def filters_table() -> str:
    """Every filter: how it is written, and what it gives."""
    rows = [f"| `{_usage(name, found)}` | {found.summary} |" for name, found in FILTERS.items()]
    return "\n".join(["| filter | gives |", "| --- | --- |", *rows])


def results_table() -> str:
    """What `steps.ID` is, per kind of step, as the docstring of its module says; without its first line."""
    said = (results.__doc__ or "").strip().partition("\n\n")[2]
    return said.strip()


def settings_table() -> str:
    """Every setting, its variable, and what it is when it is left out."""
    rows = [
        f"| `{name}` | `{PREFIX}{name.upper()}` | {_default(field.default)} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(["| setting | variable | left out |", "| --- | --- | --- |", *rows])


TABLES: dict[str, Callable[[], str]] = {
    "filters": filters_table,
    "results": results_table,
    "settings": settings_table,
}


def generated(text: str) -> str:
    """The page with what stands between its marks written anew. Raises ValueError for a mark without its end."""
    for name, table in TABLES.items():
        opening, closing = _OPENING.format(name), _CLOSING.format(name)
        before, mark, rest = text.partition(opening)
        if not mark:
            continue
        _, end, after = rest.partition(closing)
        if not end:
            message = f"{opening} without {closing}; add it where the table ends"
            raise ValueError(message)
        text = f"{before}{opening}\n\n{table()}\n\n{closing}{after}"
    return text


def main(arguments: list[str]) -> int:
    """0: all in step, or written. 1: with `--check`, the pages that are not, by name."""
    pages = {page: page.read_text("utf-8") for page in sorted(DOCS.glob("*.md"))}
    stale = {page: fresh for page, text in pages.items() if (fresh := generated(text)) != text}
    if "--check" in arguments:
        for page in stale:
            sys.stderr.write(
                f"{page.name} is not what the code says; run: python -m orchestrator.cli.docs\n"
            )
        return 1 if stale else 0
    for page, fresh in stale.items():
        page.write_text(fresh, "utf-8")
    return 0


def _usage(name: str, found: Filter) -> str:
    arguments = ", ".join(
        parameter.name if parameter.required else f"{parameter.name}?"
        for parameter in found.parameters
    )
    return f"x \\| {name}({arguments})" if arguments else f"x \\| {name}"


def _default(value: object) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return f"`{str(value).lower()}`"
        case _:
            return f"`{value}`"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
