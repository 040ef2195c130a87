"""Tables in docs/ and the OpenAPI document, generated from the code.

`python -m orchestrator.cli.docs` writes them; with `--check`, it fails where a page differs.
"""

from __future__ import annotations

import ast
import configparser
import sys
from collections.abc import Callable
from pathlib import Path

from api.app import describe_app
from api.openapi import document_text
from orchestrator.cli.exit_codes import MEANING
from orchestrator.domain.access import PERMISSIONS, Permission, Role
from orchestrator.playbook.compile import results
from orchestrator.playbook.language.filters import FILTERS, Filter
from orchestrator.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
OPENAPI = DOCS / "openapi.json"
_OPENING, _CLOSING = "<!-- generated: {} -->", "<!-- /generated: {} -->"


def filters_table() -> str:
    """Return the table of all filters: how each is written, and what it returns."""
    rows = [f"| `{_usage(name, found)}` | {found.summary} |" for name, found in FILTERS.items()]
    return "\n".join(["| filter | gives |", "| --- | --- |", *rows])


def results_table() -> str:
    """Return what `steps.ID` is, per kind of step, from the docstring of its module."""
    return (results.__doc__ or "").strip().partition("\n\n")[2].strip()


def settings_table() -> str:
    """Return the table of all settings, their variables and defaults."""
    rows = [
        f"| `{name}` | `{PREFIX}{name.upper()}` | {_default(field.default)} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(["| setting | variable | default |", "| --- | --- | --- |", *rows])


def exit_codes_table() -> str:
    """Return the table of the exit codes of all commands."""
    rows = [f"| {code.value} | {text} |" for code, text in MEANING.items()]
    return "\n".join(["| exit code | means |", "| --- | --- |", *rows])


def layers_table() -> str:
    """Return the table of packages in the order of the import contract, with their first lines."""
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter", "utf-8")
    layers = contracts["importlinter:contract:layers"]["layers"].replace("|", "\n").split()
    rows = [f"| `orchestrator/{name}` | {_first_line(name)} |" for name in layers]
    return "\n".join(["| package | holds |", "| --- | --- |", *rows])


def decisions_table() -> str:
    """Return the table of decision records, with their titles."""
    rows = []
    for record in sorted((DOCS / "decisions").glob("[0-9]*.md")):
        title = record.read_text("utf-8").partition("\n")[0].removeprefix("# ")
        rows.append(f"| [{record.name[:4]}]({record.name}) | {title} |")
    return "\n".join(["| number | decision |", "| --- | --- |", *rows])


def roles_table() -> str:
    """Return the tables of the roles, and of the permissions that each has."""
    heads = [f"`{role}`" for role in Role]
    whom = [f"| `{role}` | {role.meaning} |" for role in Role]
    rows = [
        f"| `{each}` | {each.meaning} | "
        + " | ".join("yes" if each in PERMISSIONS[role] else "" for role in Role)
        + " |"
        for each in Permission
    ]
    return "\n".join(
        [
            "| role | a person who |",
            "| --- | --- |",
            *whom,
            "",
            f"| permission | allows to | {' | '.join(heads)} |",
            f"| --- | --- |{' --- |' * len(heads)}",
            *rows,
        ]
    )


TABLES: dict[str, Callable[[], str]] = {
    "exit-codes": exit_codes_table,
    "decisions": decisions_table,
    "filters": filters_table,
    "layers": layers_table,
    "results": results_table,
    "roles": roles_table,
    "settings": settings_table,
}


def generated(text: str) -> str:
    """Return the page with fresh tables. Raise ValueError for a mark that is not closed."""
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
    """Write everything and return 0; with `--check`, return 1 where something differs."""
    pages = {page: page.read_text("utf-8") for page in sorted(DOCS.rglob("*.md"))}
    stale = {page: fresh for page, text in pages.items() if (fresh := generated(text)) != text}
    document = document_text(describe_app())
    if not OPENAPI.exists() or OPENAPI.read_text("utf-8") != document:
        stale[OPENAPI] = document
    if "--check" in arguments:
        for page in stale:
            sys.stderr.write(
                f"{page.name}: differs from the code; run `python -m orchestrator.cli.docs`\n"
            )
        return 1 if stale else 0
    for page, fresh in stale.items():
        page.write_text(fresh, "utf-8")
    return 0


def _first_line(package: str) -> str:
    """Return the first line of the docstring of a package or module."""
    folder = ROOT / "orchestrator" / package
    file = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    text = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or ""
    return text.partition("\n")[0]


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
