"""`tocsin playbook test`: run a playbook's tests.yaml by the real engine, without any system."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.command import Answer, Api, draft_command
from orchestrator.cli.commands.author.playbook.drafts import DraftFile, given_with, read_drafts
from orchestrator.cli.exit_codes import ExitCode
from orchestrator.cli.options import read_text, write_text
from orchestrator.cli.output import print_error, print_line, print_styled
from orchestrator.domain.errors import Invalid, TocsinError

if TYPE_CHECKING:
    from orchestrator.authoring.rehearsal.report import RehearsalReport
    from orchestrator.authoring.rehearsal.temporal_harness import TemporalHarness
    from orchestrator.playbook.compile.compiler import Resolve

WATCH_SECONDS = 0.5
_REMOTE_SECONDS = 180.0


def register(app: typer.Typer) -> None:
    """Add the verb to `tocsin playbook`."""
    draft_command(app, "test")(play_tests)


def play_tests(
    api: Api | None,
    places: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[NAME|FOLDER]...", help="Playbooks; without one, all in ./playbooks."
        ),
    ] = None,
    only: Annotated[
        str | None, typer.Option("-k", metavar="TEXT", help="Only cases whose name contains this.")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Run again whenever a file changes, until Ctrl-C.")
    ] = False,
    to_junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML.")
    ] = None,
    to_html: Annotated[
        Path | None, typer.Option("--html", metavar="FOLDER", help="Write a page per playbook.")
    ] = None,
    fail_under: Annotated[
        float | None,
        typer.Option(metavar="PERCENT", min=0, max=100, help="Fail below this coverage."),
    ] = None,
) -> Answer:
    """Run tests.yaml in simulated time, without any system.

    Playbooks that are tested together may call each other.

    Exit code 0: all passed; 1: a case failed, or the coverage is too low.
    Offline, with the usual connection names; with --url, --context or --data-dir, on the
    installation, with its connections and published playbooks.
    """
    folders = _folders(places)
    if api is not None:
        return _test_remotely(api, folders, only, fail_under, offline=watch or to_html or to_junit)
    from orchestrator.logs import configure_command_logs

    configure_command_logs()  # cases that fail on purpose are no news
    if watch:
        asyncio.run(_watch(folders, only))
    return _test_offline(folders, only, fail_under, to_junit, to_html)


def _test_remotely(
    api: Api, folders: Sequence[Path], only: str | None, fail_under: float | None, *, offline: Any
) -> Answer:
    if offline:
        raise Invalid(
            "--watch, --html and --junit work offline: leave out --url, --context and --data-dir"
        )
    given = read_drafts(folders)
    reports = [
        api.post("/v1/authoring/test", _body(folder, draft, given, only), seconds=_REMOTE_SECONDS)
        for folder, draft in zip(folders, given, strict=True)
    ]
    return _answer(reports, fail_under)


def _body(
    folder: Path, draft: DraftFile, given: Sequence[DraftFile], only: str | None
) -> dict[str, Any]:
    from orchestrator.registry.folder import read_playbook

    playbook = read_playbook(folder)
    body = {"playbook": playbook.text, "tests": playbook.tests, "files": playbook.files}
    return {**body, "only": only, "given": given_with(draft, given)}


def _test_offline(
    folders: Sequence[Path],
    only: str | None,
    fail_under: float | None,
    to_junit: Path | None,
    to_html: Path | None,
) -> Answer:
    from orchestrator.authoring.rehearsal.render import render_junit
    from orchestrator.authoring.rehearsal.report import reports_as_json, require_cases

    reports = require_cases(asyncio.run(_test_all(folders, only)), only)
    if to_junit is not None:
        write_text(to_junit, render_junit(reports))
    if to_html is not None:
        _write_pages(folders, reports, to_html)
    return _answer(reports_as_json(reports), fail_under)


async def _test_all(folders: Sequence[Path], only: str | None) -> list[RehearsalReport]:
    from orchestrator.authoring.rehearsal.temporal_harness import open_harness

    resolve = _resolve(folders)
    async with open_harness() as harness:
        return [await _test(folder, resolve, harness, only) for folder in folders]


def _resolve(folders: Sequence[Path]) -> Resolve:
    from orchestrator.connections.catalogue import usual_catalogue
    from orchestrator.registry.drafts import resolve_with

    return resolve_with(read_drafts(folders), usual_catalogue(), {})


async def _test(
    folder: Path, resolve: Resolve, harness: TemporalHarness, only: str | None
) -> RehearsalReport:
    from orchestrator.authoring.rehearsal.report import PlaybookUnderTest, run_tests
    from orchestrator.connections.catalogue import usual_catalogue

    file, tests = folder / "playbook.yaml", folder / "tests.yaml"
    tested = PlaybookUnderTest(
        text=read_text(file), file=str(file), tests=read_text(tests), tests_file=str(tests)
    )
    return await run_tests(
        tested,
        lambda name: _read_file(folder, name),
        usual_catalogue(),
        resolve,
        harness,
        only=only,
    )


async def _watch(folders: Sequence[Path], only: str | None) -> None:
    from orchestrator.authoring.rehearsal.report import reports_as_json
    from orchestrator.authoring.rehearsal.temporal_harness import open_harness

    async with open_harness() as harness:
        before: dict[Path, int] = {}
        resolve = _resolve(folders)
        while True:
            now = _modification_times(folders)
            changed = {path for path in {*now, *before} if now.get(path) != before.get(path)}
            before = now
            resolve = _resolve(folders) if changed else resolve
            for folder in (each for each in folders if any(each in p.parents for p in changed)):
                try:
                    _print_reports(reports_as_json([await _test(folder, resolve, harness, only)]))
                except TocsinError as error:
                    print_line(str(error))
            # Polling: file systems report changes in different ways, network ones not at all.
            await asyncio.sleep(WATCH_SECONDS)


def _modification_times(folders: Sequence[Path]) -> dict[Path, int]:
    """Return when each file was changed; a file that vanishes meanwhile is left out."""
    found: dict[Path, int] = {}
    for path in (path for folder in folders for path in folder.rglob("*")):
        with suppress(OSError):
            about = path.stat()
            if S_ISREG(about.st_mode):
                found[path] = about.st_mtime_ns
    return found


def _write_pages(folders: Sequence[Path], reports: Sequence[RehearsalReport], to: Path) -> None:
    from orchestrator.authoring.rehearsal.render import render_page
    from orchestrator.connections.catalogue import usual_catalogue
    from orchestrator.playbook.compile.compiler import compile_playbook

    to.mkdir(parents=True, exist_ok=True)
    resolve = _resolve(folders)
    for folder, report in zip(folders, reports, strict=True):
        text = read_text(folder / "playbook.yaml")
        compiled = compile_playbook(text, report.file, usual_catalogue(), resolve)
        write_text(to / f"{report.playbook}.html", render_page(report, text, compiled.positions))


def _folders(places: Sequence[Path] | None) -> list[Path]:
    if places:
        return [_folder(place) for place in places]
    found = sorted(path.parent for path in Path("playbooks").glob("*/tests.yaml"))
    if not found:
        raise Invalid("no playbooks/*/tests.yaml here; name the folders of your playbooks")
    return found


def _folder(place: Path) -> Path:
    """Return the folder that is named, by itself, its playbook.yaml, or its playbook's name.

    The name is that of a folder in ./playbooks, or of a shipped playbook.
    """
    from playbooks import shipped

    place = place.parent if place.name == "playbook.yaml" and place.is_file() else place
    known = [Path(str(folder)) for folder in shipped() if folder.name == str(place)]
    for folder in (place, Path("playbooks") / place, *known):
        if (folder / "tests.yaml").exists():
            return folder
    raise Invalid(
        f"{place / 'tests.yaml'}: does not exist; name a folder with a playbook.yaml and a "
        "tests.yaml, or a playbook"
    )


def _read_file(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise Invalid(
            f"{folder / name}: cannot be read ({error.strerror}); a case names it"
        ) from error


def _answer(reports: list[dict[str, Any]], fail_under: float | None) -> Answer:
    low = [] if fail_under is None else _below(fail_under, reports)
    for name, percent in low:  # to stderr: not into the JSON
        print_error(f"{name}: coverage {percent:.1f}% is below {fail_under:g}%")
    failed = bool(low) or any(_failed(report) for report in reports)
    code = ExitCode.NEGATIVE if failed else ExitCode.DONE
    return Answer(reports, lambda: _print_reports(reports), code)


def _below(bar: float, reports: Sequence[dict[str, Any]]) -> list[tuple[str, float]]:
    """Return the playbooks with less coverage; where only some cases ran, coverage is unknown."""
    measured = [(each["playbook"], each["coverage"]) for each in reports if each["coverage"]]
    return [(name, found["percent"]) for name, found in measured if found["percent"] < bar]


def _failed(report: dict[str, Any]) -> int:
    return sum(not case["passed"] for case in report["cases"])


def _print_reports(reports: Sequence[dict[str, Any]]) -> None:
    for report in reports:
        print_styled(f"{report['playbook']} version {report['version']}", "bold")
        for case in report["cases"]:
            mark, style = ("✓", "green") if case["passed"] else ("✗", "red")
            print_styled(f"  {mark} ", style, plain=case["name"])
            _print_differences(case)
        if (coverage := report["coverage"]) is not None:
            print_line(f"  coverage {coverage['percent']:.1f}% of {coverage['points']} points")
            for each in coverage["missing"]:
                print_line(f"    not reached: {each}")
    count = sum(len(each["cases"]) for each in reports)
    print_line(f"{count} cases, {sum(map(_failed, reports))} failed")


def _print_differences(case: dict[str, Any]) -> None:
    for each in case["differences"]:
        has_lines = each["expected"] or each["actual"]
        print_line(f"      {each['at']}: {each['field'] if has_lines else each['message']}")
        for line in difflib.ndiff(each["expected"], each["actual"]):
            if not line.startswith("?"):
                label, style = _DIFF.get(line[0], ("both     ", "dim"))
                print_styled(f"        {label}{line[2:]}", style)
        if each["field"] == "status" and case["error"]:
            print_line(f"        because: {case['error']}")


_DIFF = {"-": ("expected ", "red"), "+": ("got      ", "green")}
