"""Registration of commands: the options that all share, and how their answers are printed.

A command is a function from options to an `Answer`. `@api_command` adds `--url`, `--context` and
`--data-dir` and passes the connected API; `@draft_command` does so only where one of them is given,
and otherwise passes None, for work on local files; `@local_command` has no API. All add `--json`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from orchestrator.cli.api_client import Api
from orchestrator.cli.connect import connect
from orchestrator.cli.exit_codes import ExitCode
from orchestrator.cli.options import CA
from orchestrator.cli.output import print_json, print_line, print_raw, print_yaml
from orchestrator.cli.tables import print_table

Command = TypeVar("Command", bound=Callable[..., "Answer"])


class OutputFormat(StrEnum):
    """How a command prints what it found or did."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"


_PANEL = "Connection"
_OPTIONS = {
    "url": Annotated[
        str | None,
        typer.Option(
            "--url",
            metavar="URL",
            help="The API's address; or TOCSIN_URL. Its key is in TOCSIN_API_KEY.",
            rich_help_panel=_PANEL,
        ),
    ],
    "context": Annotated[
        str | None,
        typer.Option(
            "--context",
            metavar="NAME",
            help="A context of `tocsin login`; without it, the current one.",
            rich_help_panel=_PANEL,
        ),
    ],
    "data_dir": Annotated[
        Path | None,
        typer.Option(
            "--data-dir",
            metavar="DIR",
            help="The data directory of a stack on this machine; or TOCSIN_DATA_DIR.",
            rich_help_panel=_PANEL,
        ),
    ],
    "ca": Annotated[Path | None, typer.Option("--ca", rich_help_panel=_PANEL, **CA)],
}
_JSON = Annotated[bool, typer.Option("--json", help="Print JSON; the same as `-o json`.")]
_OUTPUT = Annotated[
    OutputFormat,
    typer.Option(
        "--output", "-o", help="wide: with all columns, whole ids and texts; json and yaml: data."
    ),
]


@dataclass(frozen=True, slots=True)
class Table:
    """Items as lines, with these columns."""

    items: Iterable[Any]
    columns: tuple[str, ...]
    wide: tuple[str, ...] = ()
    """Columns that `-o wide` adds."""
    optional: tuple[str, ...] = ()
    """Columns that a narrow terminal leaves out, the first one first."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command found or did."""

    data: Any
    """For `--json`."""
    text: str | Table | Callable[[], None] = ""
    """For a person: lines, a table, or a function that prints."""
    exit_code: ExitCode = ExitCode.DONE
    raw: bool = field(default=False, kw_only=True)
    """Whether the text goes out byte for byte, as into a file."""

    def print(self, output: OutputFormat) -> None:
        """Print the data for a program, or the text for a person."""
        wide = output is OutputFormat.WIDE
        match self.text:
            case _ if output is OutputFormat.JSON:
                print_json(self.data)
            case _ if output is OutputFormat.YAML:
                print_yaml(self.data)
            case Table(items, columns, more, optional):
                shown = columns + more if wide else columns
                print_table(items, shown, optional=optional, wide=wide)
            case str() as text if self.raw:
                print_raw(text)
            case str() as text:
                print_line(text)
            case show:
                show()


def table(
    items: list[Any],
    *columns: str,
    wide: tuple[str, ...] = (),
    optional: tuple[str, ...] = (),
) -> Answer:
    """Return the answer that lists items; `wide` and `optional` as in `Table`."""
    return Answer(items, Table(items, columns, wide, optional))


def noun(help_: str) -> typer.Typer:
    """Return the group of a noun's verbs. Its help is plain text, as the import of rich is slow."""
    return typer.Typer(help=help_, rich_markup_mode=None)


class _Connection(Enum):
    ALWAYS = auto()
    IF_NAMED = auto()
    NEVER = auto()


def api_command(app: typer.Typer, name: str) -> Callable[[Command], Command]:
    """Register a command whose first parameter, `api`, is the connected API."""
    return _register(app, name, _Connection.ALWAYS)


def draft_command(app: typer.Typer, name: str) -> Callable[[Command], Command]:
    """Register a command on local files; `api` is None unless an installation is named."""
    return _register(app, name, _Connection.IF_NAMED)


def local_command(app: typer.Typer, name: str) -> Callable[[Command], Command]:
    """Register a command that works on this machine alone."""
    return _register(app, name, _Connection.NEVER)


def api_entry(command: Callable[..., Answer]) -> Callable[..., None]:
    """Return a command without a noun, for the table of commands, that gets the connected API."""
    return _with_options(command, _Connection.ALWAYS)


def draft_entry(command: Callable[..., Answer]) -> Callable[..., None]:
    """Return a command without a noun; `api` is None unless an installation is named."""
    return _with_options(command, _Connection.IF_NAMED)


def _register(app: typer.Typer, name: str, connection: _Connection) -> Callable[[Command], Command]:
    def register(command: Command) -> Command:
        app.command(name)(_with_options(command, connection))
        return command

    return register


def _with_options(command: Callable[..., Answer], connection: _Connection) -> Callable[..., None]:
    """Return the command with the options that all share, which prints its answer."""
    own = inspect.signature(command, eval_str=True).parameters

    @functools.wraps(command)
    def run(**given: Any) -> None:
        output = given.pop("output_format")
        if given.pop("as_json"):
            output = OutputFormat.JSON
        with ExitStack() as stack:
            if connection is not _Connection.NEVER:
                url, context, data_dir, ca = [given.pop(option) for option in _OPTIONS]
                needed = connection is _Connection.ALWAYS or url or context or data_dir
                api = stack.enter_context(connect(url, context, data_dir, ca)) if needed else None
                given["api"] = api
            answer = command(**given)
        answer.print(output)
        if answer.exit_code is not ExitCode.DONE:
            raise typer.Exit(answer.exit_code)

    parameters = [each for each in own.values() if each.name != "api"]
    if connection is not _Connection.NEVER:
        parameters += [_option(each, kind, None) for each, kind in _OPTIONS.items()]
    parameters.append(_option("output_format", _OUTPUT, OutputFormat.TABLE))
    parameters.append(_option("as_json", _JSON, default=False))
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run


def _option(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=default, annotation=annotation)


__all__ = [
    "Answer",
    "Api",
    "Table",
    "api_command",
    "api_entry",
    "draft_command",
    "draft_entry",
    "local_command",
    "noun",
    "table",
]
