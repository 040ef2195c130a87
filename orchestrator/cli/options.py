"""Options that several commands share, and the files and values that options name."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator.domain.errors import Invalid
from orchestrator.playbook.language.durations import parse_duration

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="DIR", help="The data directory; or TOCSIN_DATA_DIR."),
]
Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings in a TOML file; or TOCSIN_CONFIG."),
]
CA: dict[str, Any] = {
    "metavar": "FILE",
    "help": "The authority that signed the API's certificate, in PEM; or TOCSIN_CA.",
}
CertificateAuthority = Annotated[Path | None, typer.Option("--ca", **CA)]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Limit = Annotated[int, typer.Option(min=1, help="The maximum number of items, newest first.")]


def read_text(path: Path) -> str:
    """Return the text of a file that the person named. Raise Invalid that names it."""
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{path}: cannot be read as text ({error})") from error


def read_json(path: Path) -> Any:
    """Return the JSON in a file that the person named. Raise Invalid that names it."""
    try:
        return json.loads(read_text(path))
    except ValueError as error:
        raise Invalid(f"{path}: is not JSON: {error}") from error


def read_json_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file that the person named. Raise Invalid that names it."""
    data = read_json(path)
    if not isinstance(data, dict):
        raise Invalid(f"{path}: must hold a JSON object")
    return data


def write_text(path: Path, text: str) -> None:
    """Write a file that the person named. Raise Invalid that names it."""
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise Invalid(f"{path}: cannot be written ({error.strerror}); name another file") from error


def parse_seconds(text: str, option: str) -> int:
    """Return the seconds of a duration such as 15m. Raise Invalid that names the option."""
    try:
        return parse_duration(text)
    except Invalid as error:
        raise Invalid(f"{option}: {error}") from error


def parse_pair(text: str, option: str) -> tuple[str, str]:
    """Return the name and value of `name=value`. Raise Invalid that names the option."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise Invalid(f"{option} {text}: write it as name=value")
    return name, value


def parse_pairs(texts: list[str] | None, option: str) -> dict[str, str]:
    """Return the names and values of a repeated `name=value` option. Raise Invalid."""
    return dict(parse_pair(text, option) for text in texts or [])


def parse_inputs(texts: list[str] | None) -> dict[str, Any]:
    """Return the values of repeated `--input` options: name=TEXT, or name:=JSON. Raise Invalid."""
    return dict(_parse_input(text) for text in texts or [])


def _parse_input(text: str) -> tuple[str, Any]:
    name, value = parse_pair(text, "--input")
    if not name.endswith(":"):
        return name, value
    try:
        return name[:-1], json.loads(value)
    except ValueError as error:
        raise Invalid(
            f"--input {text}: the value is not JSON ({error}); for a text, write name=value"
        ) from error


def parse_version(text: str) -> tuple[str, int]:
    """Return the name and version of NAME@VERSION. Raise Invalid."""
    name, version = parse_optional_version(text)
    if version is None:
        raise Invalid(f"{text}: write it as NAME@VERSION, such as block-address@3")
    return name, version


def parse_optional_version(text: str) -> tuple[str, int | None]:
    """Return the name and version of NAME[@VERSION]. Raise Invalid."""
    match = re.fullmatch(r"([a-z0-9][a-z0-9_-]{0,63})(?:@(\d{1,9}))?", text, re.ASCII)
    if match is None:
        raise Invalid(
            f"{text}: no such file, and not the name of a playbook; "
            "give a file, a folder, or NAME@VERSION"
        )
    return match[1], int(match[2]) if match[2] else None


def playbook_file(path: Path) -> Path:
    """Return the file of a playbook that is named by file or by folder."""
    return path / "playbook.yaml" if path.is_dir() else path


Version = Annotated[str, typer.Argument(metavar="NAME@VERSION", help="A published version.")]
