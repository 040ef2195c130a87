"""The inventory as CSV, one line per asset: type, value, kind, critical, tags, also."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.assets.inventory import Asset
from orchestrator.domain.errors import Invalid
from orchestrator.playbook.problems import did_you_mean

COLUMNS = ("type", "value", "kind", "critical", "tags", "also")
_TRUE, _FALSE = {"true", "yes", "1"}, {"false", "no", "0", ""}


def read_csv(text: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Return rows with their places, for `import_numbered`.

    Tags and other names are separated by `;` or `|`. Raise Invalid, which names the line.
    """
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        _check(header)
        return [
            (f"line {reader.line_num}", _row(header, cells, reader.line_num))
            for cells in reader
            if cells
        ]
    except csv.Error as error:
        raise Invalid(f"line {reader.line_num}: not valid CSV: {error}") from error


def write_csv(assets: Iterable[Asset]) -> str:
    """Return assets as CSV that can be imported again."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(
        [
            asset.type.value,
            asset.value,
            asset.kind,
            str(asset.critical).lower(),
            ";".join(asset.tags),
            ";".join(asset.also),
        ]
        for asset in assets
    )
    return out.getvalue()


def _check(header: list[str]) -> None:
    wanted = ", ".join(COLUMNS)
    for name in header:
        if name not in COLUMNS:
            fix = did_you_mean(name, COLUMNS)
            raise Invalid(
                f"line 1: unknown column {name[:64]!r}; {fix or f'the columns are {wanted}'}"
            )
        if header.count(name) > 1:
            raise Invalid(f"line 1: duplicate column {name!r}")
    for name in ("type", "value"):
        if name not in header:
            raise Invalid(
                f"line 1: column {name!r} is missing; the first line names the columns: {wanted}"
            )


def _row(header: list[str], cells: list[str], line: int) -> dict[str, Any]:
    if len(cells) > len(header):
        raise Invalid(
            f"line {line}: {len(cells)} cells, but {len(header)} columns; "
            "separate tags, and other names, by ; or |"
        )
    row: dict[str, Any] = {name: cell.strip() for name, cell in zip(header, cells, strict=False)}
    critical = row.get("critical", "").lower()
    if critical not in _TRUE | _FALSE:
        raise Invalid(f"line {line}: critical is {critical[:64]!r}; write true or false")
    row["critical"] = critical in _TRUE
    for column in ("tags", "also"):
        row[column] = [
            each.strip() for each in re.split(r"[;|]", row.get(column, "")) if each.strip()
        ]
    if not row.get("kind"):
        row.pop("kind", None)
    return row
