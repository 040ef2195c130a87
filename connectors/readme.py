"""Generates each connector's README and the catalogue: `python -m connectors.readme [--check]`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from connectors.sdk.binding import BoundAction
from connectors.sdk.connector import Connector
from connectors.sdk.settings import secret_fields, write_fields

_ROOT = Path(__file__).resolve().parents[1]
_NOTE = "<!-- Written by `python -m connectors.readme`; edit the code instead. -->\n"


def render(cls: type[Connector[Any]]) -> str:
    """Return the README of one connector, in Markdown."""
    parts = [
        _NOTE,
        f"# {cls.title}\n",
        f"{_prose(cls)}\n",
        f"Connector `{cls.name}`. Vendor documentation: <{cls.docs}>\n",
        "## Actions\n",
        _table(
            ("action", "effect", "what it does", "plan", "undo"),
            (_action_row(cls, action) for action in cls.bound.values()),
        ),
    ]
    if cls.unsupported:
        rows = ((f"`{name}`", reason) for name, reason in cls.unsupported.items())
        parts += ["## Not supported\n", _table(("action", "why"), rows)]
    if cls.untagged:
        rows = ((f"`{name}`", reason) for name, reason in cls.untagged.items())
        parts += ["## Not listed as an orphan\n", _table(("action", "why"), rows)]
    parts += ["## Settings\n", _settings(cls)]
    if cls.rate_limit:
        parts.append(
            f"Sends at most {cls.rate_limit.count} requests "
            f"per {cls.rate_limit.per.total_seconds():g} s.\n"
        )
    return "\n".join(parts)


def catalogue(connectors: Sequence[type[Connector[Any]]]) -> str:
    """Return the page that lists every connector and the actions of each capability."""
    parts = [_NOTE, "# Connectors\n"]
    rows = (
        (
            f"[{cls.title}](../connectors/{cls.name}/README.md)",
            f"`{cls.name}`",
            ", ".join(_capabilities(cls)),
        )
        for cls in connectors
    )
    parts.append(_table(("system", "connector", "capability"), rows))
    for capability in sorted({name for cls in connectors for name in _capabilities(cls)}):
        parts += [f"## {capability}\n", _capability(capability, connectors)]
    return "\n".join(parts)


def pages(connectors: Sequence[type[Connector[Any]]]) -> dict[Path, str]:
    """Return every generated page by its path."""
    readmes = {_ROOT / "connectors" / cls.name / "README.md": render(cls) for cls in connectors}
    return {**readmes, _ROOT / "docs" / "connectors.md": catalogue(connectors)}


def drifted(connectors: Sequence[type[Connector[Any]]]) -> list[Path]:
    """Return the pages that differ from what the code generates."""
    return [
        path
        for path, text in pages(connectors).items()
        if not path.exists() or path.read_text("utf-8") != text
    ]


def main(arguments: Sequence[str]) -> int:
    """Write the pages that differ. With `--check`, only name them and return 1 if there are any."""
    from connectors.registry import CONNECTORS  # noqa: PLC0415  # only this command loads vendors

    stale = drifted(CONNECTORS)
    for path in stale:
        if "--check" not in arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(pages(CONNECTORS)[path], "utf-8")
        sys.stdout.write(
            f"{'outdated' if '--check' in arguments else 'written'}: {path.relative_to(_ROOT)}\n"
        )
    return 1 if stale and "--check" in arguments else 0


def _capability(capability: str, connectors: Sequence[type[Connector[Any]]]) -> str:
    here = [cls for cls in connectors if capability in _capabilities(cls)]
    specs = {
        action.spec.name: action.spec
        for cls in here
        for action in cls.bound.values()
        if action.capability == capability
    }
    rows = (
        (
            f"`{name}`",
            spec.effect.value,
            spec.summary,
            ", ".join(f"`{cls.name}`" for cls in here if name in cls.bound),
        )
        for name, spec in specs.items()
    )
    return _table(("action", "effect", "what it does", "connectors"), rows)


def _capabilities(cls: type[Connector[Any]]) -> list[str]:
    return sorted({action.capability for action in cls.bound.values()})


def _action_row(cls: type[Connector[Any]], action: BoundAction) -> tuple[str, ...]:
    plan = _first_line(getattr(cls, action.plan)) if action.plan else ""
    undo = (
        _first_line(getattr(cls, action.undo))
        if action.undo
        else ("cannot be undone" if action.spec.effect.changes else "")
    )
    return f"`{action.spec.name}`", action.spec.effect.value, action.summary, plan, undo


def _settings(cls: type[Connector[Any]]) -> str:
    secrets, writing = secret_fields(cls.settings_type), write_fields(cls.settings_type)
    rows = []
    for name, field in cls.settings_type.model_fields.items():
        kind = (
            "secret, only loaded to carry out changes"
            if name in writing
            else "secret"
            if name in secrets
            else ""
        )
        default = (
            "required"
            if field.is_required()
            else f"`{field.default}`"
            if field.default is not None
            else ""
        )
        rows.append((f"`{name}`", field.description or "", default, kind))
    return _table(("setting", "what it is", "default", ""), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(
        f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |\n" for line in lines
    )


def _first_line(member: Any) -> str:
    return (member.__doc__ or "").strip().partition("\n")[0]


def _prose(cls: type) -> str:
    return " ".join((cls.__doc__ or "").split())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
