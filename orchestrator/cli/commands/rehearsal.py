"""`tocsin playbook test`: does a playbook do what its tests say, and how much of it do they reach?"""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG
from typing import Annotated

import typer
from rich.text import Text

from orchestrator.authoring.rehearsal.junit import junit
from orchestrator.authoring.rehearsal.page import page
from orchestrator.authoring.rehearsal.report import (
    CaseReport,
    Report,
    Subject,
    as_json,
    rehearsed,
    some,
)
from orchestrator.authoring.rehearsal.temporal_harness import Theatre, theatre
from orchestrator.cli.options import Config, DataDir, read_text, within
from orchestrator.cli.output import console, errors, say, show_json, visible
from orchestrator.connections.catalogue import load_catalogue, usual_catalogue
from orchestrator.domain.errors import Invalid, TocsinError
from orchestrator.playbook.catalogue import Catalogue
from orchestrator.playbook.compile.compiler import Resolve, compile_playbook
from orchestrator.playbook.plan import Plan
from orchestrator.playbook.problems import PlaybookInvalid
from orchestrator.registry import playbooks
from playbooks import shipped as playbooks_shipped

WATCH_SECONDS = 0.5


def rehearse(
    places: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[NAME|FOLDER]...", help="Playbooks; else all in ./playbooks."),
    ] = None,
    only: Annotated[
        str | None, typer.Option("-k", metavar="TEXT", help="Only cases whose name holds this.")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Again whenever a file changes; Ctrl-C ends it.")
    ] = False,
    to_junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML.")
    ] = None,
    to_html: Annotated[
        Path | None, typer.Option("--html", metavar="FOLDER", help="Write a page per playbook.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="JSON, for programs.")] = False,
    fail_under: Annotated[
        float | None,
        typer.Option(metavar="PERCENT", min=0, max=100, help="Fail below this coverage."),
    ] = None,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Run tests.yaml by the real engine, in its own time, without any system. Exit 1 when a case or the coverage fails."""
    catalogue, known = _environment(data_dir, config)
    session = _Session(
        _folders(places), only, catalogue, lambda name, version: known.get((name, version))
    )
    if watch:
        asyncio.run(session.watched())
        return
    reports = some(asyncio.run(session.once()), only)
    if to_junit is not None:
        _write(to_junit, junit(reports))
    if to_html is not None:
        session.pages(reports, to_html)
    if json_:
        show_json(as_json(reports))
    else:
        _show(reports)
    low = [] if fail_under is None else _below(fail_under, reports)
    for name, percent in low:
        errors.out(
            f"{name}: coverage {percent:.1f}% is below {fail_under:g}%", highlight=False
        )  # not into the JSON
    raise typer.Exit(1 if low or any(each.failed for each in reports) else 0)


class _Session:
    """Which folders are tried, and with what."""

    def __init__(
        self, folders: Sequence[Path], only: str | None, catalogue: Catalogue, resolve: Resolve
    ) -> None:
        self._folders = folders
        self._only = only
        self._catalogue = catalogue
        self._resolve = resolve

    async def once(self) -> list[Report]:
        async with theatre() as stage:
            return [await self._played(folder, stage) for folder in self._folders]

    async def watched(self) -> None:
        async with theatre() as stage:
            seen: dict[Path, int] = {}
            while True:
                now = _times(self._folders)
                changed = [
                    folder
                    for folder in self._folders
                    if any(
                        now.get(path) != seen.get(path)
                        for path in {*now, *seen}
                        if folder in path.parents
                    )
                ]
                seen = now
                for folder in changed:
                    try:
                        _show([await self._played(folder, stage)])
                    except (TocsinError, PlaybookInvalid) as error:
                        say(str(error))
                await asyncio.sleep(
                    WATCH_SECONDS
                )  # file systems tell of changes each in its own way, network ones not at all: look

    def pages(self, reports: Sequence[Report], folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for place, report in zip(self._folders, reports, strict=True):
            text = read_text(place / "playbook.yaml")
            positions = compile_playbook(
                text, report.file, self._catalogue, self._resolve
            ).positions
            _write(folder / f"{report.playbook}.html", page(report, text, positions))

    async def _played(self, folder: Path, stage: Theatre) -> Report:
        file, tests = folder / "playbook.yaml", folder / "tests.yaml"
        tested = Subject(
            text=read_text(file), file=str(file), tests=read_text(tests), tests_file=str(tests)
        )
        return await rehearsed(
            tested,
            lambda name: _beside(folder, name),
            self._catalogue,
            self._resolve,
            stage,
            only=self._only,
        )


def _below(bar: float, reports: Sequence[Report]) -> list[tuple[str, float]]:
    """Playbooks that are covered less, and how much; those of which only some cases were tried have no coverage."""
    known = (
        (each.playbook, each.coverage.percent) for each in reports if each.coverage is not None
    )
    return [(name, percent) for name, percent in known if percent < bar]


def _times(folders: Sequence[Path]) -> dict[Path, int]:
    """When each file was changed. One that goes away meanwhile, as when an editor saves, is not there."""
    found: dict[Path, int] = {}
    for path in (path for folder in folders for path in folder.rglob("*")):
        with suppress(OSError):
            about = path.stat()
            if S_ISREG(about.st_mode):
                found[path] = about.st_mtime_ns
    return found


def _folders(places: Sequence[Path] | None) -> list[Path]:
    if not places:
        found = sorted(path.parent for path in Path("playbooks").glob("*/tests.yaml"))
        if not found:
            raise Invalid(
                "there is no playbooks/*/tests.yaml here; name the folders of your playbooks"
            )
        return found
    return [_folder(place) for place in places]


def _folder(place: Path) -> Path:
    """A folder, or a name: of one in ./playbooks, else of one that ships."""
    shipped = [Path(str(folder)) for folder in playbooks_shipped() if folder.name == str(place)]
    for folder in (place, Path("playbooks") / place, *shipped):
        if (folder / "tests.yaml").exists():
            return folder
    raise Invalid(
        f"{place / 'tests.yaml'}: is not there; name a folder with a playbook.yaml and a tests.yaml, or a playbook"
    )


def _environment(
    data_dir: Path | None, config: Path | None
) -> tuple[Catalogue, dict[tuple[str, int], Plan]]:
    """The actions and the published playbooks of a data directory; without one, the usual names and none."""
    if data_dir is None and config is None:
        return usual_catalogue(), {}
    catalogue = within(data_dir, config, load_catalogue)
    return catalogue, within(data_dir, config, playbooks.published_plans)


def _beside(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise Invalid(
            f"{folder / name}: cannot be read ({error.strerror}); a case names it"
        ) from error


def _show(reports: Sequence[Report]) -> None:
    for report in reports:
        console.print(Text(f"{report.playbook} version {report.version}", style="bold"))
        for case in report.cases:
            console.print(
                Text("  ✓ " if case.passed else "  ✗ ", style="green" if case.passed else "red")
                + Text(visible(case.name))
            )
            _differences(case)
        if report.coverage is not None:
            covered = report.coverage
            say(f"  coverage {covered.percent:.1f}% of {len(covered.points)} points")
            for each in covered.missing:
                say(f"    not reached: {each.path}: {each.what}")
    count = sum(len(each.cases) for each in reports)
    say(f"{count} cases, {sum(each.failed for each in reports)} failed")


def _differences(case: CaseReport) -> None:
    for each in case.differences:
        say(f"      {each.at}: {each.said if not each.wanted and not each.got else each.field}")
        for line in difflib.ndiff(each.wanted, each.got):
            if not line.startswith("?"):
                what = {"-": ("expected ", "red"), "+": ("got      ", "green")}.get(
                    line[0], ("both     ", "dim")
                )
                console.print(Text(f"        {what[0]}{visible(line[2:])}", style=what[1]))
        if each.field == "status" and case.error:
            say(f"        because: {case.error}")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise Invalid(f"{path}: cannot be written ({error.strerror}); name another file") from error
