"""Appending a case to a tests.yaml without touching the existing content."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import LiteralScalarString

from orchestrator.domain.errors import Invalid
from orchestrator.playbook.language.yaml import BadYaml, load

_TOP = re.compile(r"^[^\s#-]", re.ASCII)
_ITEM = re.compile(r"^( *)- ", re.ASCII)
_WIDTH = 120


def new_tests_file(playbook: str, case: Mapping[str, Any], notes: Iterable[str] = ()) -> str:
    """Return a tests.yaml with this case alone. Raises Invalid when YAML cannot hold it."""
    return f"playbook: {playbook}\n\ncases:\n{_item(case, '  ', notes)}"


def append_case(text: str, file: str, case: Mapping[str, Any], notes: Iterable[str] = ()) -> str:
    """Return the tests.yaml with one more case, renamed if its name is taken.

    Raises Invalid when it has no list of cases.
    """
    try:
        before = load(text).data
    except BadYaml as error:
        raise Invalid(f"{file}:{error}") from error
    cases = before.get("cases") if isinstance(before, dict) else None
    if not isinstance(cases, list) or not cases:
        raise Invalid(
            f"{file}: has no list of cases; write `cases:` with one below it, "
            "or record into another folder"
        )
    named = {
        **case,
        "name": _free(
            str(case["name"]), {str(each.get("name")) for each in cases if isinstance(each, dict)}
        ),
    }
    lines = text.splitlines(keepends=True)
    first, end = _block(lines, file)
    indent = next((found[1] for line in lines[first:end] if (found := _ITEM.match(line))), None)
    if indent is None:
        raise Invalid(
            f"{file}: its cases are in brackets; write each on its own lines, starting with `- `"
        )
    if not lines[end - 1].endswith("\n"):
        lines[end - 1] += "\n"
    written = "".join(
        [
            *lines[:end],
            "\n",
            _item(named, indent, notes),
            *(["\n"] if end < len(lines) else []),
            *lines[end:],
        ]
    )
    if load(written).data != {**before, "cases": [*cases, named]}:
        raise Invalid(
            f"{file}: the case cannot be appended without changing the others; "
            "print it and insert it yourself"
        )
    return written


def _block(lines: list[str], file: str) -> tuple[int, int]:
    """Return the range of lines below `cases:`, without blank lines and comments at its end."""
    first = next(
        (
            number
            for number, line in enumerate(lines)
            if re.match(r"^cases\s*:\s*(#.*)?$", line.rstrip("\n"))
        ),
        None,
    )
    if first is None:
        raise Invalid(f"{file}: `cases:` must be on a line of its own, with the cases below it")
    end = next(
        (number for number in range(first + 1, len(lines)) if _TOP.match(lines[number])), len(lines)
    )
    while end > first + 1 and (not lines[end - 1].strip() or lines[end - 1].startswith("#")):
        end -= 1
    return first + 1, end


def _free(name: str, taken: set[str]) -> str:
    return next(
        each
        for each in (name, *(f"{name}, again ({number})" for number in range(2, 1000)))
        if each not in taken
    )


def _item(case: Mapping[str, Any], indent: str, notes: Iterable[str]) -> str:
    """Return a case as an item of a list: as YAML, or as JSON where YAML does not round-trip."""
    remarks = "".join(f"{indent}# {' '.join(note.split())}\n" for note in notes)
    for text in (_yaml(case), f"- {json.dumps(case, ensure_ascii=True)}\n"):
        written = "".join(
            f"{indent}{line}" if line.strip() else line for line in text.splitlines(keepends=True)
        )
        try:
            if load(f"cases:\n{written}").data == {"cases": [dict(case)]}:
                return remarks + written
        except BadYaml:
            continue
    raise Invalid("the run contains a text that YAML cannot hold; see `tocsin run show RUN --json`")


def _yaml(case: Mapping[str, Any]) -> str:
    writer = YAML()
    writer.width = _WIDTH
    writer.indent(mapping=2, sequence=4, offset=2)
    writer.allow_unicode = True
    stream = io.StringIO()
    writer.dump([_plain(case)], stream)
    return re.sub(r"^  ", "", stream.getvalue(), flags=re.MULTILINE)  # the list's own offset


def _plain(value: Any) -> Any:
    """Return texts of several lines as YAML literals, where that loses nothing."""
    match value:
        case Mapping():
            return {key: _plain(each) for key, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case str() if (
            "\n" in value
            and not re.search(r"[ \t]\n|[^\x20-\x7e\n]", value)
            and not value.startswith((" ", "\n"))
        ):
            return LiteralScalarString(value)
        case _:
            return value
