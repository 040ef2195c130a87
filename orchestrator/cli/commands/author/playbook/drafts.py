"""Verbs on drafts, offline or with the names of an installation: check, diff, graph."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from orchestrator.cli.command import Answer, Api, draft_command
from orchestrator.cli.commands.respond.run import Format, Output, graph_answer
from orchestrator.cli.connect import connect
from orchestrator.cli.exit_codes import ExitCode
from orchestrator.cli.options import parse_optional_version, playbook_file, read_text
from orchestrator.cli.output import print_refusal
from orchestrator.domain.errors import Invalid, TocsinError

if TYPE_CHECKING:
    from orchestrator.playbook.plan import Plan
    from orchestrator.registry.drafts import DraftSet

Files = Annotated[
    list[Path],
    typer.Argument(metavar="FILE...", help="Playbooks, or folders with a playbook.yaml."),
]
_SIDE = "A file, a folder with a playbook.yaml, or NAME[@VERSION] of an installation."


def register(app: typer.Typer) -> None:
    """Add the verbs to `tocsin playbook`."""
    draft_command(app, "check")(check)
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
    check_one = _offline_check(drafts) if api is None else partial(_check, api, drafts)
    checked: list[dict[str, Any]] = []
    problems: list[str] = []
    for position, draft in enumerate(drafts):
        try:
            checked.append({"file": draft.file, **check_one(position)})
        except Invalid as error:
            problems.append(str(error))
    if problems:
        raise Invalid("\n".join(problems))
    return checked


def _check(api: Api, drafts: Sequence[DraftFile], position: int) -> dict[str, Any]:
    found: dict[str, Any] = api.post("/v1/authoring/check", request_body(drafts, position))
    return found


def _offline_check(drafts: Sequence[DraftFile]) -> Callable[[int], dict[str, Any]]:
    """Return a check of the draft at a position, which compiles no draft twice."""
    from orchestrator.authoring.checks import describe

    together = draft_set(drafts)
    return lambda position: describe(together.analyze(position).compiled).model_dump(mode="json")


def draft_set(drafts: Sequence[DraftFile]) -> DraftSet[DraftFile]:
    """Return drafts that may call each other, with the usual connection names."""
    from orchestrator.connections.catalogue import usual_catalogue
    from orchestrator.registry.drafts import DraftSet

    return DraftSet(drafts, usual_catalogue(), {})


def request_body(drafts: Sequence[DraftFile], position: int) -> dict[str, Any]:
    """Return what the API takes of the draft at a position: its text, and the others."""
    draft = drafts[position]
    return {**draft._asdict(), "given": given_with(draft, drafts)}


def given_with(draft: DraftFile, given: Sequence[DraftFile]) -> list[dict[str, str]]:
    """Return the other drafts of a command, as the API takes them."""
    return [each._asdict() for each in given if each is not draft]


def _draft(file: Path) -> dict[str, str]:
    return {"text": read_text(file), "file": str(file)}


def _compile(draft: dict[str, str]) -> Plan:
    from orchestrator.registry.analysis import compile_draft

    return asyncio.run(compile_draft(None, draft["text"], draft["file"])).plan


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
