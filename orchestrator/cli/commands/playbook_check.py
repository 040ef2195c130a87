"""`tocsin playbook lint` and `tocsin playbook diff`: is a draft wise, and what does it do that another version does not?"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from orchestrator.authoring import drafts
from orchestrator.cli.options import AsJson, Config, DataDir, read_text, within
from orchestrator.cli.output import console, errors, say, show_json
from orchestrator.domain.errors import Invalid, TocsinError
from orchestrator.playbook.diff.model import markdown_of, text_of
from orchestrator.playbook.diff.plans import difference
from orchestrator.playbook.lint.finding import Finding
from orchestrator.playbook.plan import Plan
from orchestrator.playbook.problems import PlaybookInvalid, Problem
from orchestrator.runtime import Runtime

INVALID = "invalid"
T = TypeVar("T")


class Annotations(StrEnum):
    """How findings are printed."""

    TEXT = "text"
    GITHUB = "github"


class Comment(StrEnum):
    """How a difference is printed."""

    TEXT = "text"
    MARKDOWN = "markdown"


Files = Annotated[
    list[Path],
    typer.Argument(metavar="FILE...", help="Playbooks, or folders that hold a playbook.yaml."),
]
_SIDE = "A file, a folder that holds a playbook.yaml, or NAME[@VERSION] of the data directory."


def lint(
    files: Files,
    as_json: AsJson = False,
    format_: Annotated[
        Annotations, typer.Option("--format", help="As text, or as annotations for GitHub Actions.")
    ] = Annotations.TEXT,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Say what is unwise, by file, line, column, step and rule; ends with 1 if anything is.

    Allow a finding in place: # tocsin: allow RULE because REASON.
    """

    async def look(runtime: Runtime | None) -> list[Finding]:
        return [finding for file in map(_playbook, files) for finding in await _lint(runtime, file)]

    found = _with(data_dir, config, look)
    if as_json:
        show_json([finding.model_dump(mode="json") for finding in found])
    else:
        _print(found, format_, len(files))
    if found:
        raise typer.Exit(1)


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help=_SIDE)],
    b: Annotated[str, typer.Argument(metavar="B", help="The same; what changed from A to B.")],
    as_json: AsJson = False,
    format_: Annotated[
        Comment, typer.Option("--format", help="As text, or as a comment for a pull request.")
    ] = Comment.TEXT,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Say what another version does that this one does not, the most dangerous first. Ends with 0: the same, 1: not, 2: unreadable."""

    async def look(runtime: Runtime | None) -> tuple[Plan, Plan]:
        return await _side(runtime, a), await _side(runtime, b)

    named = _file(a) is None or _file(b) is None
    try:
        found = difference(*_with(data_dir, config, look, needs_store=named))
    except TocsinError as error:  # 1 means that they differ
        errors.out(f"tocsin: {error}", highlight=False)
        raise typer.Exit(2) from error
    if as_json:
        show_json(found.model_dump(mode="json") | {"same": found.same})
    else:
        console.out(
            markdown_of(found) if format_ is Comment.MARKDOWN else text_of(found),
            end="",
            highlight=False,
        )
    if not found.same:
        raise typer.Exit(1)


def _with(
    data_dir: Path | None,
    config: Path | None,
    use: Callable[[Runtime | None], Awaitable[T]],
    *,
    needs_store: bool = False,
) -> T:
    """Without a data directory, a draft is looked at against the usual connections, and nothing is opened or made."""
    if data_dir is None and config is None and not needs_store:
        return asyncio.run(_alone(use))
    return within(data_dir, config, use)


async def _alone(use: Callable[[Runtime | None], Awaitable[T]]) -> T:
    return await use(None)


async def _lint(runtime: Runtime | None, file: Path) -> Iterable[Finding]:
    try:
        return await drafts.lint(runtime, read_text(file), str(file))
    except PlaybookInvalid as invalid:
        return [_problem(each) for each in invalid.problems]


def _problem(problem: Problem) -> Finding:
    place = {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "step": problem.step,
    }
    return Finding(
        **place,
        rule=INVALID,
        message=problem.message,
        mend=problem.mend or "it cannot be published as it is",
    )


def _print(found: list[Finding], format_: Annotations, files: int) -> None:
    for finding in found:
        say(_annotation(finding) if format_ is Annotations.GITHUB else str(finding))
    if format_ is Annotations.TEXT and not found:
        say(f"nothing to say of {files} playbook{'s' if files > 1 else ''}")


def _annotation(finding: Finding) -> str:
    """A workflow command of GitHub Actions; what could end it early is escaped."""
    place = ",".join(
        f"{key}={_escaped(str(value), ':,')}"
        for key, value in (
            ("file", finding.file),
            ("line", finding.line),
            ("col", finding.column),
            ("title", finding.rule),
        )
    )
    step = f"step {finding.step}: " if finding.step else ""
    return f"::error {place}::{_escaped(f'{step}{finding.message}; {finding.mend}')}"


def _escaped(text: str, more: str = "") -> str:
    return "".join(
        f"%{ord(mail):02X}" if mail in "%\r\n" or mail in more else mail for mail in text
    )


async def _side(runtime: Runtime | None, what: str) -> Plan:
    if (file := _file(what)) is not None:
        return await drafts.draft_plan(runtime, read_text(file), str(file))
    found = re.fullmatch(r"([a-z][a-z0-9-]{0,63})(?:@([1-9][0-9]{0,5}))?", what, re.ASCII)
    if found is None or runtime is None:
        raise Invalid(
            f"{what}: there is no such file, and no playbook is called so; give a file, a folder, or NAME@VERSION"
        )
    return await drafts.published_plan(runtime, found[1], int(found[2]) if found[2] else None)


def _file(what: str) -> Path | None:
    path = Path(what)
    return _playbook(path) if path.exists() else None


def _playbook(path: Path) -> Path:
    return path / "playbook.yaml" if path.is_dir() else path
