"""Registration of a connector: its lines in the registry, the lab and the import contract."""

from __future__ import annotations

import re
from pathlib import Path

from orchestrator.domain.errors import Invalid


def planned_registrations(root: Path, name: str, cls: str) -> dict[Path, str]:
    """Return the new text of each file that lists the connectors; `cls` is the connector's class.

    Raises Invalid when a file no longer has its list.
    """
    module = f"connectors.{name}"
    registry, lab, contract = (
        Path("connectors/registry.py"),
        Path("connectors/lab.py"),
        Path(".importlinter"),
    )
    emulator = f"{cls}Emulator"
    return {
        registry: _add_entry(
            _add_import(_read(root, registry), f"from {module}.connector import {cls}"),
            "CONNECTORS",
            cls,
        ),
        lab: _add_entry(
            _add_import(_read(root, lab), f"from {module}.emulator import {emulator}"),
            "EMULATORS",
            emulator,
        ),
        contract: _add_vendor(_read(root, contract), module),
    }


def _read(root: Path, path: Path) -> str:
    return (root / path).read_text(encoding="utf-8")


def _add_import(source: str, line: str) -> str:
    """Insert an import among those of `connectors`, in alphabetical order."""
    lines = source.splitlines()
    imports = [number for number, each in enumerate(lines) if each.startswith("from connectors.")]
    if not imports:
        message = "no import of `connectors` to add the connector's to"
        raise Invalid(message)
    after = [number for number in imports if lines[number] > line]
    lines.insert(after[0] if after else imports[-1] + 1, line)
    return "\n".join(lines) + "\n"


def _add_entry(source: str, name: str, entry: str) -> str:
    """Append an entry to a module-level tuple with one line per entry."""
    return _insert(source, rf"^{name}: [^\n]* = \(\n(?:    \w+,\n)+", f"    {entry},\n", name)


def _add_vendor(source: str, module: str) -> str:
    """Append a package to the contract that keeps vendors independent of each other."""
    pattern = r"^\[importlinter:contract:vendors\]\n(?:[^\n]+\n)*?modules =\n(?:    \S+\n)+"
    return _insert(source, pattern, f"    {module}\n", "contract:vendors")


def _insert(source: str, pattern: str, text: str, name: str) -> str:
    match = re.search(pattern, source, re.MULTILINE)
    if match is None:
        message = f"no list {name} to add the connector to"
        raise Invalid(message)
    return source[: match.end()] + text + source[match.end() :]
