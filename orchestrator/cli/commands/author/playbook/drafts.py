"""Verbs on drafts, offline or with the names of an installation: check, lint, diff, graph."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from orchestrator.cli.api_client import InvalidRequest
from orchestrator.cli.command import Answer, Api, draft_command
from orchestrator.cli.commands.respond.run import Format, Output, graph_answer
from orchestrator.cli.connect import connect
from orchestrator.cli.exit_codes import ExitCode
from orchestrator.cli.options import parse_optional_version, playbook_file, read_text
from orchestrator.cli.output import print_refusal
from orchestrator.domain.errors import Invalid, TocsinError

if TYPE_CHECKING:
    from orchestrator.playbook.lint.rule import LintFinding
    from orchestrator.playbook.plan import Plan

INVALID = "invalid"
"""The rule of a finding about a playbook that does not compile."""

Files = Annotated[
    list[Path],
    typer.Argument(metavar="FILE...", help="Playbooks, or folders with a playbook.yaml."),
]
_SIDE = "A file, a folder with a playbook.yaml, or NAME[@VERSION] of an installation."


def register(app: typer.Typer) -> None:
    """Add the verbs to `tocsin playbook`."""
    draft_command(app, "check")(check)
    draft_command(app, "lint")(lint)
    draft_command(app, "diff")(diff)
    draft_command(app, "graph")(draw)


def check(api: Api | None, files: Files) -> Answer:
    """Report whether playbooks can be published; errors name file, line, column and step.

    Playbooks that are named together may call each other. Offline, with the usual connection names;
    with --url, --context or --data-dir, with those of the installation.
    """
    checked = check_drafts(api, read_drafts(files))
    lines = [f"{each['file']}: valid ({each['playbook']} {each['version']})" for each in checked]
    return Answer(checked, "\n".join(lines))


def lint(
    api: Api | None,
    files: Files,
    format_: Annotated[
        Literal["text", "github"],
        typer.Option("--format", help="github: annotations for GitHub Actions."),
    ] = "text",
) -> Answer:
    """Report risky or fragile places by file, line, column, step and rule.

    Exit code 0: no findings; 1: findings.
    Waive a finding in place with: # tocsin: allow RULE because REASON.
    """
    given = read_drafts(files)
    found = [finding for draft in given for finding in _lint(api, draft, given)]
    show = _annotation if format_ == "github" else str
    lines = [show(finding) for finding in found]
    if not found and format_ == "text":
        lines = [f"{len(files)} {'playbooks' if len(files) > 1 else 'playbook'}: no findings"]
    return Answer(
        [finding.model_dump(mode="json") for finding in found],
        "".join(f"{line}\n" for line in lines),
        ExitCode.NEGATIVE if found else ExitCode.DONE,
        raw=True,
    )


def diff(
    api: Api | None,
    a: Annotated[str, typer.Argument(metavar="A", help=_SIDE)],
    b: Annotated[
        str, typer.Argument(metavar="B", help="The same; shows what changes from A to B.")
    ],
    format_: Annotated[
        Literal["text", "markdown"],
        typer.Option("--format", help="markdown: a comment for a pull request."),
    ] = "text",
) -> Answer:
    """Compare two versions by what they do, the most dangerous change first.

    Exit code 0: the same; 1: different; 2: one of them cannot be read.
    """
    from orchestrator.playbook.diff.model import render_markdown, render_text

    try:
        difference = _compare(api, a, b)
    except TocsinError as error:
        print_refusal(error)
        raise typer.Exit(ExitCode.UNREADABLE) from error
    text = render_markdown(difference) if format_ == "markdown" else render_text(difference)
    data = difference.model_dump(mode="json") | {"same": difference.same}
    code = ExitCode.DONE if difference.same else ExitCode.NEGATIVE
    return Answer(data, text, code, raw=True)


def draw(
    api: Api | None,
    what: Annotated[
        str, typer.Argument(metavar="FILE|FOLDER|NAME[@VERSION]", help="A draft or a version.")
    ],
    format_: Format = "svg",
    output: Output = None,
) -> Answer:
    """Draw a playbook: its steps, effects by colour, approvals and leases."""
    if not Path(what).exists():
        name, version = parse_optional_version(what)
        with _installation(api) as installation:
            version = version or installation.get(f"/v1/playbooks/{name}")["version"]
            path = f"/v1/playbooks/{name}/{version}/graph"
            return graph_answer(installation.text(path, format=format_), output)
    body = _draft(playbook_file(Path(what)))
    if api is not None:
        return graph_answer(api.post_text("/v1/authoring/graph", body, format=format_), output)
    from orchestrator.authoring import graphs

    as_ = graphs.GraphFormat(format_)
    return graph_answer(
        asyncio.run(graphs.draw_draft(None, body["text"], body["file"], as_)), output
    )


@contextmanager
def _installation(api: Api | None) -> Iterator[Api]:
    """Yield the named installation, or the default one where none is named."""
    if api is not None:
        yield api
        return
    with connect(None, None, None) as default:
        yield default


class DraftFile(NamedTuple):
    """A playbook in a file."""

    file: str
    text: str


def read_drafts(paths: Sequence[Path]) -> list[DraftFile]:
    """Read playbooks that are named by file or folder. Raise Invalid that names the file."""
    files = [playbook_file(path) for path in paths]
    return [DraftFile(str(file), read_text(file)) for file in files]


def check_drafts(api: Api | None, drafts: Sequence[DraftFile]) -> list[dict[str, Any]]:
    """Return what each draft is, if all can be published together.

    Raise Invalid with every problem of every draft.
    """
    checked: list[dict[str, Any]] = []
    problems: list[str] = []
    for draft in drafts:
        try:
            checked.append(_check(api, draft, drafts))
        except Invalid as error:
            problems.append(str(error))
    if problems:
        raise Invalid("\n".join(problems))
    return checked


def _check(api: Api | None, draft: DraftFile, given: Sequence[DraftFile]) -> dict[str, Any]:
    if api is not None:
        body = {**draft._asdict(), "given": given_with(draft, given)}
        return {"file": draft.file, **api.post("/v1/authoring/check", body)}
    from orchestrator.authoring import checks

    checked = asyncio.run(checks.check_draft(None, draft.text, draft.file, given))
    return {"file": draft.file, **checked.model_dump(mode="json")}


def given_with(draft: DraftFile, given: Sequence[DraftFile]) -> list[dict[str, str]]:
    """Return the other drafts of a command, as the API takes them."""
    return [each._asdict() for each in given if each is not draft]


def _draft(file: Path) -> dict[str, str]:
    return {"text": read_text(file), "file": str(file)}


def _compile(draft: dict[str, str]) -> Plan:
    from orchestrator.registry.analysis import compile_draft

    return asyncio.run(compile_draft(None, draft["text"], draft["file"])).plan


def _lint(api: Api | None, draft: DraftFile, given: Sequence[DraftFile]) -> Iterable[LintFinding]:
    from orchestrator.playbook.lint.rule import LintFinding
    from orchestrator.playbook.problems import PlaybookInvalid

    try:
        if api is not None:
            body = {**draft._asdict(), "given": given_with(draft, given)}
            found = api.post("/v1/authoring/lint", body)["findings"]
            return [LintFinding.model_validate(each) for each in found]
        from orchestrator.registry.analysis import lint_draft

        return asyncio.run(lint_draft(None, draft.text, draft.file, given))
    except PlaybookInvalid as invalid:
        return [
            _invalid(each.file, each.line, each.column, each.step, each.message, each.fix)
            for each in invalid.problems
        ]
    except InvalidRequest as invalid:
        return [
            _invalid(
                each["place"],
                each.get("line") or 1,
                each.get("column") or 1,
                each.get("step"),
                each["message"],
                each.get("fix"),
            )
            for each in invalid.places
        ]


def _invalid(
    file: str, line: int, column: int, step: str | None, message: str, fix: str | None
) -> LintFinding:
    from orchestrator.playbook.lint.rule import LintFinding

    return LintFinding(
        file=file,
        line=line,
        column=column,
        step=step,
        rule=INVALID,
        message=message,
        fix=fix or "as it is, it cannot be published",
    )


def _annotation(finding: LintFinding) -> str:
    """Return a workflow command of GitHub Actions, escaped so that a text cannot end it."""
    fields = (
        ("file", finding.file),
        ("line", finding.line),
        ("col", finding.column),
        ("title", finding.rule),
    )
    place = ",".join(f"{key}={_escape(str(value), ':,')}" for key, value in fields)
    step = f"step {finding.step}: " if finding.step else ""
    return f"::error {place}::{_escape(f'{step}{finding.message}; {finding.fix}')}"


def _escape(text: str, more: str = "") -> str:
    return "".join(
        f"%{ord(each):02X}" if each in "%\r\n" or each in more else each for each in text
    )


def _compare(api: Api | None, a: str, b: str) -> Any:
    """Return the difference; a side that is not a file is a published version."""
    from orchestrator.playbook.diff.model import PlaybookDiff

    sides = [_side(a), _side(b)]
    if api is None and all("text" in side for side in sides):
        from orchestrator.playbook.diff.plans import diff_plans

        return diff_plans(*(_compile(side) for side in sides))
    for side in sides:
        side.pop("file", None)
    with _installation(api) as installation:
        answer = installation.post("/v1/authoring/diff", {"a": sides[0], "b": sides[1]})
    return PlaybookDiff.model_validate({name: answer[name] for name in ("a", "b", "changes")})


def _side(what: str) -> dict[str, Any]:
    path = Path(what)
    if path.exists():
        return _draft(playbook_file(path))
    name, version = parse_optional_version(what)
    return {"name": name, **({"version": version} if version else {})}
