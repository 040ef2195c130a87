"""Commands that are imported when they are needed, so that help and completion are fast."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

ROOT = "orchestrator.cli"


class Entry(NamedTuple):
    """A line of the table of commands: the name, where it is defined, and its help."""

    name: str
    module: str
    """Relative to `orchestrator.cli`, as in `commands.respond.run`."""
    attribute: str
    """`app` for a group, the function's name for a single command."""
    panel: str
    """The section of `tocsin --help` that lists it."""
    help: str


class LazyNoun(TyperGroup):
    """A noun whose verbs are imported when one of them is looked up."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry
        super().__init__(
            name=entry.name, help=entry.help, no_args_is_help=True, rich_markup_mode=None
        )

    @cached_property
    def _loaded(self) -> dict[str, Any]:
        app: typer.Typer = _import(self._entry)
        return dict(typer.main.get_group(app).commands)

    @property
    def commands(self) -> dict[str, Any]:
        """The verbs by name."""
        return self._loaded

    @commands.setter
    def commands(self, _: object) -> None:
        """Ignore the empty mapping that the base class sets."""


class LazyCommand(TyperCommand):
    """A command without verbs whose function is imported when it is parsed or run."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry
        super().__init__(entry.name, help=entry.help, rich_markup_mode=None)

    @cached_property
    def _loaded(self) -> Any:
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        app.command(self._entry.name)(_import(self._entry))
        return typer.main.get_command(app)

    @property
    def params(self) -> list[Any]:
        """The options and arguments; the list itself, as the base class appends `--help` to it."""
        found: list[Any] = self._loaded.params
        return found

    @params.setter
    def params(self, _: object) -> None:
        """Ignore the empty list that the base class sets."""

    @property
    def callback(self) -> Callable[..., Any] | None:
        """The function behind the command."""
        found: Callable[..., Any] | None = self._loaded.callback
        return found

    @callback.setter
    def callback(self, _: object) -> None:
        """Ignore the None that the base class sets."""


def lazy_group(entries: tuple[Entry, ...]) -> type[TyperGroup]:
    """Return a group class whose commands are the entries of the table."""

    class LazyRoot(TyperGroup):
        """The root command, whose help lists the commands by section."""

        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            for entry in entries:
                lazy = LazyNoun if entry.attribute == "app" else LazyCommand
                self.add_command(lazy(entry))

        def format_commands(self, _: Any, formatter: Any) -> None:
            """Write a section for each panel of the table."""
            width = max(len(entry.name) for entry in entries)
            for panel in dict.fromkeys(entry.panel for entry in entries):
                with formatter.section(panel):
                    formatter.write_dl(
                        [
                            (entry.name.ljust(width), entry.help)
                            for entry in entries
                            if entry.panel == panel
                        ]
                    )

    return LazyRoot


def _import(entry: Entry) -> Any:
    return getattr(import_module(f"{ROOT}.{entry.module}"), entry.attribute)
