"""Creation of a connector from the templates of its capability.

A scaffolded connector speaks a small, made-up REST API, and its emulator serves that API, so that
everything passes before you write the first line. Replace the API in client.py and emulator.py;
the connector, its planned changes and the tests keep their shape.
"""

from __future__ import annotations

import keyword
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from string import Template
from typing import NamedTuple

from connectors.scaffold.registration import planned_registrations
from orchestrator.domain.errors import Conflict, Invalid

_NAME = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_LONGEST_NAME = 24
_TEMPLATES = resources.files("connectors.scaffold") / "templates"
_SUFFIX = ".template"
_COMMON = "common"


class ConnectorName(NamedTuple):
    """The spellings of a connector's name."""

    name: str
    """The package, such as `acme_wall`."""
    cls: str
    """The class, such as `AcmeWall`."""
    title: str
    """The title, such as `Acme Wall`."""
    host: str
    """The host in the documentation URL, such as `acme-wall`."""


def capabilities() -> tuple[str, ...]:
    """Return the capabilities that have templates."""
    return tuple(sorted(entry.name for entry in _TEMPLATES.iterdir() if entry.name != _COMMON))


def parse_name(name: str) -> ConnectorName:
    """Return the spellings of a name. Raises Invalid for a name that cannot be a package."""
    if not _NAME.fullmatch(name) or keyword.iskeyword(name) or len(name) > _LONGEST_NAME:
        message = (
            f"connector name {name!r}: use at most {_LONGEST_NAME} lower-case letters, digits and "
            "single underscores, beginning with a letter, such as acme_wall"
        )
        raise Invalid(message)
    words = name.split("_")
    return ConnectorName(
        name, "".join(map(str.title, words)), " ".join(map(str.title, words)), "-".join(words)
    )


def create_connector(root: Path, name: str, capability: str) -> tuple[Path, ...]:
    """Write a connector below `root`, a source checkout, and register it.

    Returns the written and changed files, relative to `root`. Writes nothing when it raises:
    Invalid for a wrong name or capability or another folder, Conflict when the name is taken.
    """
    names = parse_name(name)
    if capability not in capabilities():
        message = f"capability {capability!r}: use one of {', '.join(capabilities())}"
        raise Invalid(message)
    if not (root / "connectors" / "registry.py").is_file():
        message = f"{root.absolute()}: not a source checkout of Tocsin; use its root folder"
        raise Invalid(message)
    _check_free(root, names)
    files = {
        **dict(_render(names, capability)),
        **planned_registrations(root, names.name, names.cls),
    }
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    return tuple(files)


def format_files(root: Path, files: tuple[Path, ...]) -> None:
    """Sort imports and format the Python files, whose layout depends on the length of the name.

    Raises Invalid when ruff, a development dependency, is missing or fails.
    """
    python = [str(path) for path in files if path.suffix == ".py"]
    for command in (["check", "--select", "I", "--fix", "--quiet"], ["format", "--quiet"]):
        _run(root, ["ruff", *command, *python], "ruff failed; run `make setup-dev` first")


def write_pages(root: Path) -> None:
    """Generate the READMEs and the catalogue. Raises Invalid when the generator fails."""
    _run(root, ["connectors.readme"], "the pages could not be generated")


def _run(root: Path, module: list[str], problem: str) -> None:
    result = subprocess.run(  # noqa: S603  # our own modules
        [sys.executable, "-m", *module], cwd=root, capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        message = f"{problem}: {(result.stderr or result.stdout).strip()[-500:]}"
        raise Invalid(message)


def _check_free(root: Path, names: ConnectorName) -> None:
    taken = {path.stem for path in (root / "connectors").iterdir()}
    if names.name in taken:
        message = f"connectors/{names.name}: exists already; choose another name"
        raise Conflict(message)
    declaration = re.compile(rf"^class {names.cls}\b", re.MULTILINE)
    for folder in ("connectors", "orchestrator", "api"):
        for path in (root / folder).rglob("*.py"):
            if declaration.search(path.read_text(encoding="utf-8")):
                message = (
                    f"connector name {names.name!r}: {path.relative_to(root)} has a class "
                    f"{names.cls} already; choose another name"
                )
                raise Conflict(message)


def _render(names: ConnectorName, capability: str) -> Iterator[tuple[Path, str]]:
    """Yield each file of the connector; a capability's template overrides a common one."""
    package = Path("connectors") / names.name
    for folder in (_COMMON, capability):
        for template in (_TEMPLATES / folder).iterdir():
            file = template.name.removesuffix(_SUFFIX)
            path = package / file
            if file == "test.py":
                path = Path("tests") / "connectors" / f"test_{names.name}.py"
            text = Template(template.read_text(encoding="utf-8"))
            yield path, text.substitute(names._asdict())
