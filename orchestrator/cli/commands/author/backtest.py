"""`tocsin backtest`: play a draft over stored alerts, and compare with what was done."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from orchestrator.cli.command import Answer, Api, api_command, noun
from orchestrator.cli.exit_codes import ExitCode
from orchestrator.cli.options import playbook_file, read_text, write_text
from orchestrator.cli.output import print_line, print_refusal, print_styled
from orchestrator.cli.tables import format_time
from orchestrator.domain.errors import Invalid, TocsinError

app = noun("Play a draft over stored alerts.")

_SECONDS = 120.0
_SEVERE = {"contained more", "asked less", "failed"}

Reads = Literal["recorded", "live", "stub", "unknown"]


@api_command(app, "run")
def run_backtest(
    api: Api,
    draft: Annotated[
        str,
        typer.Argument(
            metavar="NAME[@DRAFT]",
            help="A playbook with a file, folder or version; without one, the live version.",
        ),
    ],
    since: Annotated[
        str, typer.Option(metavar="DURATION", help="How far back, such as 30d.")
    ] = "30d",
    source: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only alerts of this source.")
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, help="The maximum number of alerts, newest first.")
    ] = 1000,
    reads: Annotated[
        Reads, typer.Option(help="What answers a read that was not recorded.")
    ] = "recorded",
    stubs: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A tests.yaml for --reads stub; or the one next to the draft."
        ),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Evaluate by this policy, not by the one in force."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page with a plot over time.")
    ] = None,
) -> Answer:
    """Play a draft over stored alerts, and report what it would have done differently.

    Exit code 0: no difference; 1: differences; 2: it cannot be played.
    """
    try:
        body = {
            "playbook": _draft(draft, stubs),
            "since": since,
            "source": source,
            "limit": limit,
            "reads": reads,
            "policy": None if policy is None else read_text(policy),
        }
        found = api.post("/v1/backtests", body, seconds=_SECONDS)
    except TocsinError as error:
        print_refusal(error)
        raise typer.Exit(ExitCode.UNREADABLE) from error
    if html is not None:
        _write_page(html, found)
    code = ExitCode.NEGATIVE if found["same"] < found["alerts"] else ExitCode.DONE
    return Answer(found, lambda: _print(found), code)


def _draft(what: str, stubs: Path | None) -> dict[str, Any]:
    name, _, which = what.partition("@")
    if not which or which.isdecimal():
        if stubs is not None:
            raise Invalid("--stubs goes with a file or folder; a version has its own tests")
        return {"name": name, **({"version": int(which)} if which else {})}
    file = playbook_file(Path(which))
    text = read_text(file)
    if name and (named := _name_in(text)) != name:
        raise Invalid(f"{file}: is the playbook {named}, not {name}; write `{named}@{file}`")
    tests = stubs or file.with_name("tests.yaml")
    found = read_text(tests) if stubs is not None or tests.exists() else None
    return {"text": text, "tests": found}


def _name_in(text: str) -> object:
    from orchestrator.playbook.language.yaml import load

    return load(text).data.get("playbook")


def _write_page(path: Path, found: dict[str, Any]) -> None:
    from orchestrator.authoring.backtest.page import render_backtest
    from orchestrator.authoring.backtest.report import Backtest

    write_text(path, render_backtest(Backtest.model_validate(found)))


def _print(found: dict[str, Any]) -> None:
    print_styled(found["draft"], "bold")
    more = "; there were more, only the newest were played" if found["more_alerts"] else ""
    since, until = format_time(found["since"]), format_time(found["until"])
    print_line(f"{found['alerts']} alerts from {since} to {until}{more}")
    print_line(
        f"runs started then: {found['started_then']}, by the draft: {found['started_now']}; "
        f"alerts without difference: {found['same']}"
    )
    if found["open"]:
        print_line(f"{found['open']} more alerts have open runs")
    reads = found["reads"]
    print_line(
        f"reads: {reads['recorded']} recorded, {reads['live']} live, {reads['stub']} by stubs, "
        f"{reads['unknown']} unknown"
    )
    for group in found["groups"]:
        _print_group(group)
    if not found["groups"]:
        print_line("no difference")


def _print_group(group: dict[str, Any]) -> None:
    count, difference = group["count"], group["difference"]
    alerts = "1 alert" if count == 1 else f"{count} alerts"
    style = "bold red" if difference in _SEVERE else "bold yellow"
    print_styled(f"\n{difference}: {alerts}", style)
    for each in group["examples"]:
        about = each["about"]
        received = format_time(about["created_at"])
        print_styled(f"  {about['alert_id']}  {received}  ", "dim", plain=about["title"])
        for what in each["what"]:
            print_line(f"      {what}")
    if count > len(group["examples"]):
        print_line(f"  and {count - len(group['examples'])} more")
