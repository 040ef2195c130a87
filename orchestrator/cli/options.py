"""What every command takes, and how a command gets from there to settings and an open runtime."""

from __future__ import annotations

import asyncio
import getpass
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from orchestrator.domain.errors import Invalid
from orchestrator.playbook.language.durations import duration
from orchestrator.runtime import Runtime, open_runtime
from orchestrator.settings import Settings
from orchestrator.store.migrate import migrate

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="D", help="Where everything is kept; else TOCSIN_DATA_DIR."),
]
Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="A TOML file with settings; else TOCSIN_CONFIG."),
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON, for programs.")]

T = TypeVar("T")


def within(data_dir: Path | None, config: Path | None, use: Callable[[Runtime], Awaitable[T]]) -> T:
    """What `use` makes of the runtime of this data directory, whose database is brought up to date first."""
    return asyncio.run(_within(Settings.load(config, data_dir=data_dir), use))


async def _within(settings: Settings, use: Callable[[Runtime], Awaitable[T]]) -> T:
    runtime = open_runtime(settings)
    try:
        await migrate(runtime.store)
        return await use(runtime)
    finally:
        await runtime.close()


def actor() -> str:
    """Who types: the user of this machine, for the audit trail."""
    try:
        return f"person:{getpass.getuser()}"
    except (KeyError, OSError):  # a container's user may have no name
        return "person:local"


def read_text(path: Path) -> str:
    """A file that the person named. Raises Invalid that names it."""
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        message = f"{path}: cannot be read as text ({error})"
        raise Invalid(message) from error


def length(text: str, option: str) -> timedelta:
    """A written length of time, such as 15m. Raises Invalid that names the option."""
    try:
        return timedelta(seconds=duration(text))
    except Invalid as error:
        message = f"{option}: {error}"
        raise Invalid(message) from error


def read_json(path: Path) -> Any:
    """The JSON in a file that the person named. Raises Invalid that names it."""
    try:
        return json.loads(read_text(path))
    except ValueError as error:
        message = f"{path}: is not JSON: {error}"
        raise Invalid(message) from error


def json_object(path: Path) -> dict[str, Any]:
    """As `read_json`, for a file that has to hold an object."""
    found = read_json(path)
    if not isinstance(found, dict):
        message = f"{path}: must hold a JSON object"
        raise Invalid(message)
    return found


def pair(text: str, option: str) -> tuple[str, str]:
    """The halves of `name=value`. Raises Invalid."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        message = f"{option} {text}: write it as name=value"
        raise Invalid(message)
    return name, value
